#!/usr/bin/env bash
# What kernel_figures.sh makes of what ptxas said, saved in ptxas/: passes what is well, refuses a spill, a stack frame, and attention of which
# two blocks would not fit; keeps the figures, hides them, and passes on what else a compiler says and its exit code. kernel_figures_test.sh SCRIPT
set -uo pipefail
script=$1
saved=$(cd "$(dirname "$0")" && pwd)/ptxas
folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT
failed=0
# compile FILE OPTIONS...: a compiler that says what stands in the file. Leaves its code, what was said, and the object.
compile() {
  local file=$saved/$1; shift
  code=0
  said=$(bash "$script" "$@" -- sh -c 'cat "$1" >&2; echo "x.cu(3): warning: what else is said" >&2; echo object >"$3"' - "$file" -o "$folder/x.o" 2>&1) || code=$?
}
check() { # WHAT TEST...
  local what=$1; shift
  "$@" && return
  failed=1
  echo "FAILED: $what; exit code $code, said: $said"
}
has() { grep -qF -- "$1" <<<"$said"; }
lacks() { ! has "$1"; }

compile clean.txt --fit flash_attention 128 2
check "kernels without fault pass" [ $code = 0 ]
check "the object is there" [ -f "$folder/x.o" ]
check "what else the compiler says is passed on" has "what else is said"
check "figures are not printed" lacks "ptxas info"
check "figures are kept" [ "$(cut -f 1-6 "$folder/x.o.figures" | tr '\t\n' ' ;')" = "sm_89 62 0 0 0 0;sm_89 247 0 0 0 0;sm_89 186 0 0 0 0;" ]
said=$(bash "$script" --table "$folder")
check "a build's figures are one table" has "sm_89	247	0"

compile spilled.txt
check "a spill is refused" [ $code = 1 ]
check "by the kernel's name, its card and what spilled" has "row_product_kernel<4>"
check "with the bytes" has "for sm_89: $(sed -nE 's/.* ([0-9]+) bytes spill stores, ([0-9]+) bytes.*/echo $((\1 + \2))/p' "$saved/spilled.txt" | sh) bytes of spilled registers"
check "the object is gone, so that it is made again" [ ! -e "$folder/x.o" ]
compile spilled.txt --warn
check "a compiler that nobody has checked is only warned about" [ $code = 0 ]
check "with the same words" has "bytes of spilled registers"

compile stack.txt
check "a stack frame is refused" [ $code = 1 ]
check "with its bytes" has "a stack frame of 64 bytes"

compile clean.txt --fit flash_attention 256 2 # as if a block had eight warps
check "two blocks that do not fit are refused" [ $code = 1 ]
check "each by its registers" has "247 registers a thread: blocks of 256 threads, and 2 do not fit"
check "and no other kernel" lacks "row_product"
compile clean.txt --fit flash_attention 128 3
check "nor do three" has "186 registers a thread: blocks of 128 threads, and 3 do not fit"

code=0; said=$(bash "$script" -- sh -c 'echo "error: no such thing" >&2; exit 7' 2>&1) || code=$?
check "a compiler's failure is its own" [ $code = 7 ]
check "with its words" has "no such thing"
[ $failed = 0 ] && echo "all as expected"
exit $failed
