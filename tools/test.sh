#!/usr/bin/env bash
# Everything that is tested, from a clean clone: `npm test`. The last line counts all test cases.
set -uo pipefail
cd "$(dirname "$0")/.."
bash tools/setup.sh --checks || { echo "0 passed, 1 failed (setup)"; exit 1; }

passed=0; failed=0
count() { passed=$((passed + $1)); failed=$((failed + $2)); }

echo "== boundaries"
if node tools/check-boundaries.mjs; then count 1 0; else count 0 1; fi
if node tools/check-surface.mjs; then count 1 0; else count 0 1; fi

# A script that ends in "N passed, M failed".
counted() {
  local log; log=$(mktemp)
  "$@" 2>&1 | tee "$log"
  read -r good bad < <(tail -1 "$log" | sed -nE 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p') || { good=0; bad=1; }
  rm -f "$log"
  count "$good" "$bad"
}
echo "== native engine"
if native/scripts/lint.sh; then count 1 0; else count 0 1; fi
counted native/scripts/test.sh
counted native/scripts/sanitize.sh

echo "== parity with diffusers, transformers, peft and bitsandbytes"
if node libs/engine/dist/parity/main.js; then count 1 0; else count 0 1; fi

echo "== TypeScript"
results=$(mktemp)
npx jest --maxWorkers=2 --json --outputFile="$results"
read -r good bad < <(node -e 'const r=JSON.parse(require("fs").readFileSync(process.argv[1]));console.log(r.numPassedTests, r.numFailedTests + r.numRuntimeErrorTestSuites)' "$results" 2>/dev/null || echo "0 1")
rm -f "$results"
count "$good" "$bad"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
