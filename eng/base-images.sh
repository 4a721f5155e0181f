#!/usr/bin/env bash
# Makes two local images from Debian packages, so that container tests need no image registry:
#   eigengate-test/redis:7.0   Debian with redis-server
#   eigengate-test/base:12     the same root without an entry point, base of the product's own image
set -euo pipefail
redis=eigengate-test/redis:7.0
base=eigengate-test/base:12
if docker image inspect $redis $base >/dev/null 2>&1; then exit 0; fi

echo "Making local container images from Debian packages ..."
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
debootstrap --variant=minbase --include=redis-server,ca-certificates,libgomp1 bookworm "$work/root" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
rm -rf "$work"/root/var/lib/apt/lists/* "$work"/root/var/cache/apt/* "$work"/root/usr/share/{doc,man,locale}
tar -C "$work/root" -c . | docker import -c 'CMD ["bash"]' - $base >/dev/null
tar -C "$work/root" -c . | docker import -c 'EXPOSE 6379' -c 'ENTRYPOINT ["redis-server","--protected-mode","no","--bind","0.0.0.0","--save",""]' - $redis >/dev/null
