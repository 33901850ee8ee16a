#!/usr/bin/env bash
# Formats everything that has a formatter: `npm run format`. format.sh [--check]   --check: changes nothing, fails where something would change
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-}" in
  "") npx prettier --log-level warn --write . ;;
  --check) npx prettier --log-level warn --check . || { echo "format: run npm run format" >&2; exit 1; } ;;
  *) echo "format.sh [--check]" >&2; exit 2 ;;
esac
bash native/scripts/format.sh "$@"
