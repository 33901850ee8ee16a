#!/usr/bin/env bash
# The main job from end to end on this machine's CPU: before, fine-tune, after. `npm run demo`; results are in demo-output/.
set -euo pipefail
cd "$(dirname "$0")/.."
bash tools/setup.sh --run
exec node tools/demo.mjs "$@"
