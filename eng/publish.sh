#!/usr/bin/env bash
# Self-contained linux-x64 build of the command line into artifacts/publish, as the container image wants it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
rm -rf artifacts/publish
dotnet publish src/Cli/Cli.csproj -c Release -r linux-x64 --self-contained -o artifacts/publish -v quiet --nologo
du -sh artifacts/publish
