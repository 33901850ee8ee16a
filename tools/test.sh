#!/usr/bin/env bash
# Everything that is tested, from a clean clone: `npm test`. The last line counts all test cases.
set -uo pipefail
cd "$(dirname "$0")/.."
bash tools/setup.sh || { echo "0 passed, 1 failed (setup)"; exit 1; }

passed=0; failed=0
count() { passed=$((passed + $1)); failed=$((failed + $2)); }

echo "== boundaries"
if node tools/check-boundaries.mjs; then count 1 0; else count 0 1; fi
if node tools/check-surface.mjs; then count 1 0; else count 0 1; fi

echo "== native engine"
for program in $(ctest --test-dir native/build --show-only=json-v1 | node -e 'let s="";process.stdin.on("data",d=>s+=d).on("end",()=>console.log(JSON.parse(s).tests.map(t=>t.command[0]).join("\n")))'); do
  output=$("$program" 2>&1); status=$?
  line=$(echo "$output" | grep -a 'test cases:' | tail -1)
  good=$(echo "$line" | sed -E 's/.*test cases: *[0-9]+ *\| *([0-9]+) passed.*/\1/'); bad=$(echo "$line" | sed -E 's/.*\| *([0-9]+) failed.*/\1/')
  [[ "$good" =~ ^[0-9]+$ ]] || good=0
  [[ "$bad" =~ ^[0-9]+$ ]] || bad=1
  [ $status -ne 0 ] && [ "$bad" -eq 0 ] && bad=1
  if [ "$bad" -ne 0 ]; then echo "$output"; fi
  echo "$(basename "$program"): $good passed, $bad failed"
  count "$good" "$bad"
done

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
