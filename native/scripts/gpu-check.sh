#!/usr/bin/env bash
# What only a card can show, in one command of less than ten minutes: builds for the card that is here, runs every native test on it, one of
# them under compute-sanitizer where that is installed, and measures the card, training within budgets and drawing, with random weights of
# FLUX.1-dev's dimensions. Exit code 2: no card here, nothing was checked. 1: something failed.
set -uo pipefail
cd "$(dirname "$0")/.."
say() { echo "gpu-check: $*"; }
stop() { echo "gpu-check: $2" >&2; exit "$1"; }

nvidia-smi -L >/dev/null 2>&1 || stop 2 "no NVIDIA card answers here (nvidia-smi -L): nothing was checked"
nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
export PATH="$PATH:/usr/local/cuda/bin"
failed=0
build=build-cuda

say "building in native/$build"
launcher=(); command -v ccache >/dev/null && launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
cmake -S . -B $build -G Ninja "${launcher[@]}" -DATELIER_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES=native -DATELIER_ADDON=OFF >$build.log 2>&1 &&
  cmake --build $build >>$build.log 2>&1 || { tail -50 $build.log >&2; stop 1 "the build failed; the whole log is native/$build.log"; }

say "rates of the card"
rates=$($build/bench/card_bench) || stop 1 "the card cannot be used"
echo "$rates"
matrix=$(sed -nE 's/.*"shape": "8192 x 8192 x 8192".*"tflops": ([0-9.]+).*/\1/p' <<<"$rates" | head -1)

say "tests"
ctest --test-dir $build --output-on-failure -j "$(nproc)" --timeout 240 || failed=1

if command -v compute-sanitizer >/dev/null; then
  say "compute-sanitizer"
  compute-sanitizer --tool memcheck --error-exitcode 1 $build/test/emulated_model_test || failed=1
else
  say "compute-sanitizer is not installed: left out"
fi

fp8() { [ "$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d .)" -ge 89 ]; } # of the first card, 8.9 as 89
field() { sed -nE "s/.*\"$1\": \"?([^\",}]*).*/\1/p" <<<"$2"; }
gb=1000000000
unlimited=0 # within what is free
# speed LINE SECONDS: TFLOP/s that the mathematics needs, what is made again not counted, and their share of the card's rate in one large product
speed() { awk -v work="$(field useful_tflop "$1")" -v s="$2" -v rate="$matrix" 'BEGIN { printf "%.1f %.0f%%", work / s, 100 * work / s / rate }'; }
# train DEVICE BUDGETS: a row each
train() { timeout 300 $build/bench/step_bench --device "$1" --preset full --mode train --quant nf4 --accum 4 --runs 3 --budget "$2" | while read -r line; do
  budget=$(field budget "$line")
  name=$((budget / gb)); [ "$budget" = $unlimited ] && name=unlimited
  [ "$1" = cuda ] || name="$name, ${1#cuda,}"
  reason=$(sed -nE 's/.*"refused": "([^"]*)".*/\1/p' <<<"$line")
  if [ -n "$reason" ]; then printf '%14s refused: %s\n' "$name" "$reason"; continue; fi
  seconds=$(field step_s_median "$line")
  read -r tflops share <<<"$(speed "$line" "$seconds")"
  printf '%14s %10s %10s %8s %10s %10s %6s %6s %8s %8s %8s\n' "$name" "$(awk -v s="$seconds" 'BEGIN { printf "%.1f", 250 * s }')" "$tflops" "$share" \
    "$(field planned_mb "$line")" "$(field card_peak_mb "$line")" "$(field keep_all "$line")" "$(field parked "$line")" "$(field resident "$line")" \
    "$(field widened "$line")" "$(field together "$line")"
done; }
say "training: 512 x 768, 77 text tokens, rank 4, accumulation 4, NF4 weights"
printf '%14s %10s %10s %8s %10s %10s %6s %6s %8s %8s %8s\n' "budget GB" "ms/micro" "TFLOP/s" "of rate" "planned MB" "card MB" "kept" "parked" "resident" "widened" "together"
train cuda $((2 * gb)),$((4 * gb)),$((6 * gb)),$((8 * gb)),$((12 * gb)),$((16 * gb)),$((24 * gb)),$unlimited || { say "training was not measured to its end"; failed=1; }
if fp8; then train cuda,fp8 $unlimited || { say "training with fp8 products was not measured"; failed=1; }
else say "this card has no fp8: left out"; fi

say "drawing: 1024 x 1024, 28 steps, 512 text tokens, NF4 weights"
line=$(timeout 180 $build/bench/step_bench --device cuda --preset full --mode infer --quant nf4 --grid-h 64 --grid-w 64 --text 512 --infer-steps 28 --runs 1) &&
  seconds=$(field step_s_median "$line") &&
  echo "$seconds s a picture, TFLOP/s and share of the rate: $(speed "$line" "$seconds"), $(field card_peak_mb "$line") MB in use on the card" || { say "drawing was not measured"; failed=1; }

say "a micro-step op by op: everything kept, all weights on the card, which takes some 14 GB"
timeout 150 $build/bench/step_bench --ops --device cuda --preset full --quant nf4 --accum 4 --runs 3 || say "ops were not measured"

[ $failed = 0 ] && say "everything passed" || say "something failed, see above"
exit $failed
