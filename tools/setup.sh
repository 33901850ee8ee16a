#!/usr/bin/env bash
# Installs and builds what this repository needs; does nothing where nothing is missing. setup.sh [--quiet] [--checks | --run]
#   --checks: also what only the checks of `npm test` need, clang-tidy, which takes 310 MB
#   --run: only what runs; the engine's tests and benchmarks, half of its build, are left out
set -euo pipefail
cd "$(dirname "$0")/.."
quiet=; checks=; target=all
for option in "$@"; do
  case $option in
    --quiet) quiet=1 ;;
    --checks) checks=1 ;;
    --run) target=atelier_addon ;;
    *) echo "setup: $option is no option; there are --quiet, --checks and --run" >&2; exit 2 ;;
  esac
done
say() { [ -n "$quiet" ] || echo "setup: $*" >&2; }
fail() { echo "setup: $*" >&2; exit 1; }

command -v node >/dev/null || fail "Node.js is not installed: install Node 20.19 or newer (https://nodejs.org)"
node -e 'const [major, minor] = process.versions.node.split(".").map(Number); process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)' ||
  fail "Node $(node --version) is too old: install Node 20.19 or newer"

missing=()
need() { command -v "$1" >/dev/null || missing+=("$2"); }
need nats-server nats-server
need cmake cmake
need g++ g++
need ninja ninja-build
need curl ca-certificates
[ -z "$checks" ] || need clang-tidy-19 clang-tidy-19
[ -f /usr/include/nlohmann/json.hpp ] || missing+=(nlohmann-json3-dev)
[ -f /usr/include/doctest/doctest.h ] || missing+=(doctest-dev)
if [ ${#missing[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || fail "missing: ${missing[*]}. This is not Debian: install them with your system's package manager"
  sudo=; if [ "$(id -u)" != 0 ]; then command -v sudo >/dev/null || fail "missing: ${missing[*]}. Run as root, or install sudo"; sudo=sudo; fi
  say "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  log=$(mktemp)
  { $sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 || { cat "$log" >&2; fail "apt-get could not install ${missing[*]}"; }
  rm -f "$log"
fi

# The lock's digest is written beside what it led to, so that a second run knows that nothing changed.
stamp=node_modules/.atelier-lock
digest=$(sha256sum package-lock.json package.json libs/*/package.json services/*/package.json $(ls cli/package.json 2>/dev/null || true) | sha256sum)
if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$digest" ]; then
  say "installing npm packages"
  npm ci --no-audit --no-fund --loglevel=error
  echo "$digest" >"$stamp"
fi

say "configuring the native engine"
says=$(bash native/scripts/configure.sh native/build) || { cat native/build.log >&2; fail "cmake could not configure native/"; }
say "$says"
say "building the native engine and the services"
mkdir -p dist
export NX_CACHE_DIRECTORY="${NX_CACHE_DIRECTORY:-$PWD/.nx/cache}" # in a git worktree nx would keep its cache in the main one
NATIVE_TARGET=$target npx nx run-many -t build --outputStyle=static >dist/build.log 2>&1 || { tail -60 dist/build.log >&2; fail "the build failed; the whole log is dist/build.log"; }
say "ready"
