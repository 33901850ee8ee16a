#!/usr/bin/env bash
# Looks for bugs in the engine's sources with clang-tidy, by native/.clang-tidy. See lint.mjs for the options.
exec node "$(dirname "$0")/lint.mjs" "$@"
