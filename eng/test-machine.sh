#!/usr/bin/env bash
# Prepares a Debian or Ubuntu machine so that `dotnet test` skips nothing: Redis, Docker with a local Redis image,
# docker-compose, SentencePiece, Chromium, Node.js, Python, C++ compilers and the npm packages of the tests. Run as root. What is already there is left alone.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

need=()
command -v redis-server >/dev/null || need+=(redis-server)
command -v dockerd >/dev/null || need+=(docker.io)
command -v docker-compose >/dev/null || need+=(docker-compose)
command -v debootstrap >/dev/null || need+=(debootstrap)
command -v spm_train >/dev/null || need+=(sentencepiece)
command -v node >/dev/null || need+=(nodejs)
command -v g++ >/dev/null || need+=(g++)
command -v clang++ >/dev/null || command -v clang++-14 >/dev/null || need+=(clang)
command -v npm >/dev/null || need+=(npm)
command -v python3 >/dev/null || need+=(python3)
command -v chromium >/dev/null || need+=(chromium)
if [ ${#need[@]} -gt 0 ]; then
  echo "Installing ${need[*]} ..."
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${need[@]}" >/dev/null
fi

if ! docker info >/dev/null 2>&1; then
  echo "Starting the Docker daemon ..."
  log="$(mktemp)"
  # Detached, so that it outlives this script; the caller ends it by the printed process id.
  setsid dockerd >"$log" 2>&1 </dev/null &
  echo $! >"${DOCKERD_PID_FILE:-/dev/null}"
  for _ in $(seq 60); do docker info >/dev/null 2>&1 && break; sleep 0.5; done
  docker info >/dev/null 2>&1 || { cat "$log" >&2; echo "the Docker daemon did not start" >&2; exit 1; }
fi

"$root/eng/base-images.sh"
for folder in tests/integration/npm-client tests/ChatTemplates.Tests/oracle tests/Inference.Tests/Tokenization/oracle \
  tests/Inference.Tests/Sampling/Constraints/oracle; do
  (cd "$root/$folder" && npm ci --no-audit --no-fund --silent)
done
