#!/usr/bin/env bash
# Native tests under the address and undefined-behaviour sanitizers, in native/build-sanitize, for the CPU. The last line counts them.
# sanitize.sh [--all]   without: what reads other people's files and what keeps account of memory, which takes minutes to build and seconds to run; --all: every test
set -euo pipefail
cd "$(dirname "$0")/.."
parts=(formats memory program quant)
case "${1:-}" in
  "") ;;
  --all) parts=() ;;
  *) echo "sanitize.sh [--all]" >&2; exit 2 ;;
esac
launcher=(); command -v ccache >/dev/null && launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
cmake --preset sanitize "${launcher[@]}" >build-sanitize.log 2>&1 ||
  { cat build-sanitize.log >&2; echo "sanitize: cmake could not configure native/" >&2; echo "0 passed, 1 failed"; exit 1; }
export UBSAN_OPTIONS=print_stacktrace=1
exec bash scripts/test.sh --build build-sanitize "${parts[@]}"
