#!/usr/bin/env bash
# Everything that is checked, from a clean clone: `npm test`. The last line counts all test cases. Options are those of nx run-many:
# `npm test -- --skip-nx-cache` runs all of it again.
set -uo pipefail
cd "$(dirname "$0")/.."
bash tools/setup.sh --checks || { echo "setup failed: nothing was tested"; echo "0 passed, 1 failed"; exit 1; }
exec node tools/test/all.mjs "$@"
