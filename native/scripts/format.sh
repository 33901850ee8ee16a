#!/usr/bin/env bash
# Formats the engine's sources, by native/.clang-format. format.sh [--check]   --check: changes nothing, fails where something would change.
# clang-format comes with the npm packages, locked like them: two of its versions seldom agree, and so two machines would not.
set -euo pipefail
cd "$(dirname "$0")/../.."
formatter=node_modules/.bin/clang-format
[ -x $formatter ] || { echo "format: $formatter is not there: run npm ci" >&2; exit 1; }
mapfile -t files < <(find native/{src,include,addon,test,bench} -name '*.cpp' -o -name '*.h' -o -name '*.inl' -o -name '*.cu')
case "${1:-}" in
  "") $formatter -i "${files[@]}" ;;
  --check)
    if ! $formatter --dry-run -Werror --ferror-limit=1 "${files[@]}"; then
      echo "format: these sources are not formatted: run npm run format, or native/scripts/format.sh" >&2
      exit 1
    fi
    echo "format: ${#files[@]} native sources are formatted" ;;
  *) echo "format.sh [--check]" >&2; exit 2 ;;
esac
