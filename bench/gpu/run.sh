#!/usr/bin/env bash
# Everything about one GPU host, from the unpacked archive of publish.sh: finds PyTorch, checks that it fits, compares the
# engine's results on the device with its references, and measures. Every step says PASS or FAIL; ends with 1 if one failed.
#   ./run.sh [--device cuda|cpu] [--libtorch DIR] [--shape tiny|135m|1.1b|7b] [--tokens N] [--out DIR]
set -uo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
device=cuda libtorch="" shape="" tokens=64 out="$PWD/eigengate-gpu-results"
while [ $# -gt 0 ]; do
  case "$1" in
    --device) device="$2" ;;
    --libtorch) libtorch="$2" ;;
    --shape) shape="$2" ;;
    --tokens) tokens="$2" ;;
    --out) out="$2" ;;
    *) sed -n 2,5p "$0"; exit 2 ;;
  esac
  shift 2
done
mkdir -p "$out"
export DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1
failed=0

# A step in a process of its own: a crash of a native library is a FAIL of that step, not the end of the run.
step() {
  local name="$1"; shift
  echo "== $name"
  "$@" > >(tee "$out/$name.log") 2> >(tee "$out/$name.err" >&2)
  local status=$?
  if [ $status = 0 ]; then echo "PASS  $name"; else echo "FAIL  $name (exit $status)"; failed=1; fi
  return $status
}

find_pytorch() {
  [ -n "$libtorch" ] || libtorch="$(python3 -c "import torch; print(torch.__path__[0])")" || return 1
  echo "libtorch: $libtorch"
  python3 -c "import torch; print('PyTorch', torch.__version__, 'CUDA', torch.version.cuda)" 2>/dev/null || true
  [ "$device" = cpu ] || nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv
}

serve() {
  "$here/eigengate" serve --model "$here/base" --bundle "$here/bundle" --device "$device" --libtorch "$libtorch" --urls http://127.0.0.1:0 > "$out/serve.txt" 2>&1 &
  local server=$! url="" answer=""
  for _ in $(seq 240); do
    url="$(sed -n 's/^ *gateway  *//p' "$out/serve.txt")"
    [ -n "$url" ] && break
    kill -0 $server 2>/dev/null || { cat "$out/serve.txt"; return 1; }
    sleep 0.5
  done
  answer="$(python3 - "$url" <<'PYTHON'
import json, sys, urllib.request
body = json.dumps({"model": "reverse", "prompt": "planet ->", "temperature": 0}).encode()
request = urllib.request.Request(sys.argv[1] + "/v1/completions", body, {"Content-Type": "application/json"})
print(json.load(urllib.request.urlopen(request, timeout=60))["choices"][0]["text"])
PYTHON
)"
  kill -TERM $server
  wait $server
  echo "the adapter 'reverse' answers:$answer"
  [ "${answer# }" = "tenalp" ]
}

step pytorch find_pytorch || exit 1
[ -n "$libtorch" ] || libtorch="$(sed -n 's/^libtorch: //p' "$out/pytorch.log")"
step smoke "$here/gpu-check" smoke --device "$device" --libtorch "$libtorch" || exit 1
step check "$here/gpu-check" check --device "$device" --libtorch "$libtorch"
step serve serve
step speed "$here/gpu-check" speed --device "$device" --libtorch "$libtorch" ${shape:+--shape "$shape"} --tokens "$tokens" --work "$out" --report "$out/speed"
[ $failed = 0 ] && echo "PASS  all steps; results in $out" || echo "FAIL  see above; results in $out"
exit $failed
