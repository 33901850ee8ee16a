#!/usr/bin/env bash
# Builds and runs native tests, each test case as a process of its own, so that a crash is one failure and hides no other case. The last line counts
# them. test.sh [--build FOLDER] [PART…]   FOLDER of native/: build; PART: folders of native/test, all by default
set -euo pipefail
cd "$(dirname "$0")/.."
stop() { echo "test: $*" >&2; echo "0 passed, 1 failed"; exit 1; }
build=build
[ "${1:-}" != --build ] || { build=${2:?test.sh [--build FOLDER] [PART…]}; shift 2; }
[ -f "$build/CMakeCache.txt" ] || stop "native/$build is not configured: run npm run setup, or cmake -S native -B native/$build"
targets=(all) chosen=()
if [ $# -gt 0 ]; then
  for part in "$@"; do [ -f "test/$part/sources.cmake" ] || stop "there are no tests in native/test/$part"; done
  targets=("${@/#/tests_}") chosen=(-R "^($(IFS='|'; echo "$*"))/")
fi
cmake --build "$build" --target "${targets[@]}" >"$build.log" 2>&1 || { tail -50 "$build.log" >&2; stop "the build failed; the whole log is native/$build.log"; }

results=$(mktemp)
trap 'rm -f "$results"' EXIT
status=0
ctest --test-dir "$build" "${chosen[@]}" --no-tests=error --output-on-failure --timeout 900 -j "$(nproc)" --output-junit "$results" || status=$?
figure() { sed -nE "s/^[[:space:]]*$1=\"([0-9]+)\".*/\1/p" "$results" | head -1; }
all=$(figure tests) failed=$(figure failures)
[ -n "$failed" ] || stop "ctest says nothing of its results, exit code $status"
echo "$((all - failed)) passed, $failed failed"
exit $status
