#!/usr/bin/env bash
# Stands before the CUDA compiler, which is asked for ptxas' figures (-Xptxas=-v), and refuses a kernel that would be slow on every card: one that
# spills registers, keeps an array on a stack of its own, or holds so many registers that fewer of its blocks fit a multiprocessor than are
# meant to. What ptxas says is not printed; it is kept beside the object, OBJECT.figures: card, registers, stack, spill stores and loads in bytes,
# static shared memory, kernel.
#   kernel_figures.sh [--fit NAME THREADS BLOCKS]... [--warn] -- COMPILER ARGUMENTS...
#     --fit: of kernels whose name holds NAME, blocks of THREADS threads, BLOCKS must fit. Their dynamic shared memory ptxas does not know: a
#            static_assert in the source holds that.
#     --warn: says so and goes on, for compilers that nobody has checked
#   kernel_figures.sh --table FOLDER: the figures of all objects in a folder of a build
set -uo pipefail
if [ "${1:-}" = --table ]; then
  find "${2:?kernel_figures.sh --table FOLDER}" -name '*.figures' -exec cat {} + | sort | { command -v c++filt >/dev/null && c++filt || cat; }
  exit
fi
fit='' warn=''
while [ "${1:-}" != -- ]; do
  case "${1:-}" in
    --fit) fit+="$2 $3 $4;"; shift 4 ;;
    --warn) warn=1; shift ;;
    *) echo "kernel_figures: ${1:-no argument}: expected --fit NAME THREADS BLOCKS, --warn or --" >&2; exit 2 ;;
  esac
done
shift
object=; before=
for argument in "$@"; do [ "$before" != -o ] || object=$argument; before=$argument; done

said=$(mktemp) && trap 'rm -f "$said"' EXIT
"$@" 2>"$said"
code=$?
grep -vE '^ptxas info|^ +[0-9]+ bytes stack frame' "$said" >&2
[ $code = 0 ] || exit $code

# Properties of functions come between a kernel's name and its registers; those of functions that it calls would too.
figures() { awk '
  function before(unit,   at) { return match($0, "[0-9]+ bytes " unit) ? substr($0, RSTART, RLENGTH) + 0 : 0 }
  /Compiling entry function/ { split($0, part, "\047"); name = part[2]; card = part[4]; stack = stores = loads = 0 }
  /bytes stack frame/ { stack += before("stack frame"); stores += before("spill stores"); loads += before("spill loads") }
  /: Used [0-9]+ registers/ { match($0, /Used [0-9]+/)
    print card "\t" substr($0, RSTART + 5, RLENGTH - 5) "\t" stack "\t" stores "\t" loads "\t" before("smem") "\t" name }' "$said"; }
# A multiprocessor has 65536 registers and gives them to a warp 256 at a time.
faults=$(figures | awk -F'\t' -v fit="$fit" '
  function fault(what) { print $7 " for " $1 ": " what }
  BEGIN { count = split(fit, one, ";") }
  $4 + $5 > 0 { fault($4 + $5 " bytes of spilled registers: hold fewer values at once") }
  $3 > 0 && $4 + $5 == 0 { fault("a stack frame of " $3 " bytes: an array is indexed by what is known only as the kernel runs") }
  { for (i = 1; i <= count; ++i) if (split(one[i], part, " ") == 3 && index($7, part[1])) {
      each = int(($2 * 32 + 255) / 256) * 256 * part[2] / 32
      if (each * part[3] > 65536) fault($2 " registers a thread: blocks of " part[2] " threads, and " part[3] " do not fit a multiprocessor") } }')
[ -z "$object" ] || figures >"$object.figures"
[ -n "$faults" ] || exit 0
{ command -v c++filt >/dev/null && c++filt <<<"$faults" || cat <<<"$faults"; } | sed 's/^/kernel_figures: /' >&2
[ -z "$warn" ] || exit 0
[ -z "$object" ] || rm -f "$object"
exit 1
