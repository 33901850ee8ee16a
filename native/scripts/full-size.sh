#!/usr/bin/env bash
# FLUX.1-dev's own dimensions, 11.9 billion parameters drawn at random and quantised to NF4 while they are drawn, and LoRA steps at a small
# token count: prints the figures and fails when the process needed more than 12 GiB. Takes some minutes; needs a built engine (npm run setup).
set -euo pipefail
cd "$(dirname "$0")/.."
line=$(build/bench/step_bench --preset full --grid-h 4 --grid-w 4 --text 16 --mode train --quant nf4 --recompute 1 --runs 1 "$@")
echo "$line"
peak=$(echo "$line" | sed -E 's/.*"peak_rss_mb": ([0-9]+).*/\1/')
[ "$peak" -le 12288 ] || { echo "full-size: $peak MiB of memory, more than 12 GiB" >&2; exit 1; }
echo "full-size: $peak MiB of memory, within 12 GiB"
