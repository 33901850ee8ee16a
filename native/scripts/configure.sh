#!/usr/bin/env bash
# Configures the engine in a folder and prints in one line what will be built there: "CUDA for 8.9", or "CPU only: …" with the reason and the
# remedy. configure.sh FOLDER [CMAKE OPTIONS]. Runs again each time, since a CUDA compiler or a card may have come or changed since; with
# nothing new it takes a second, and nothing is built again for it. CUDAARCHS: the cards to build for, "89" or "86;89".
# A new folder compiles a library's sources together, eight at a time, in 0.55 of the time; whoever works on the engine may choose
# -DCMAKE_UNITY_BUILD=OFF, which builds less again after a change, and is kept.
set -euo pipefail
build=$(realpath -m "$1"); shift
cd "$(dirname "$0")/.."

# Of this machine's cards that the engine can use; without one 8.0, which shows that the sources compile and runs on later cards too.
cards() {
  local kinds
  kinds=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | tr -d '. ' | grep -xE '[89][0-9]|[1-9][0-9]{2}' | sort -nu | paste -sd ';') || true
  echo "${kinds:-80}"
}

options=(-DCMAKE_CUDA_ARCHITECTURES="${CUDAARCHS:-$(cards)}")
command -v ccache >/dev/null && options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
[ -f "$build/CMakeCache.txt" ] || options+=(-DCMAKE_UNITY_BUILD=ON)
cmake -S . -B "$build" -G Ninja "${options[@]}" "$@" >"$build.log" 2>&1
sed -n 's/^-- Engine: //p' "$build.log"
