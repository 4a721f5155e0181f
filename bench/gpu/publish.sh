#!/usr/bin/env bash
# Makes artifacts/eigengate-gpu.tar.xz: the program and its checks, self-contained, without a libtorch. It is to be unpacked on a
# Linux x64 host with a Python PyTorch, and needs neither .NET nor a network there: eigengate-gpu/run.sh does the rest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
out=artifacts/eigengate-gpu
limit=$((64 << 20))
rm -rf "$out" "$out.tar.xz"
for project in src/Cli/Cli.csproj bench/gpu/Gpu.csproj; do
  dotnet publish "$project" -c Release -r linux-x64 --self-contained -p:TorchDevice=none -p:DebugType=none \
    -o "$out" -v quiet --nologo
done
rm -rf "$out/runtimes" "$out"/*.pdb "$out"/*.xml
cp bench/gpu/run.sh "$out/"
cp -r demo/base demo/bundle "$out/" 2>/dev/null || true
tar -C artifacts -c eigengate-gpu | xz -T0 -6 > "$out.tar.xz"
size=$(stat -c %s "$out.tar.xz")
echo "$out.tar.xz: $((size >> 20)) MiB"
[ "$size" -le "$limit" ] || { echo "more than the $((limit >> 20)) MiB that are allowed" >&2; exit 1; }
