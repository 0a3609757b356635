#!/bin/sh
# Run a command in an image's files without a container engine, as root: ROOT COMMAND...
#
# ROOT is read-only, as user 10001 with no capability that matters; what the image has as volumes and /tmp are empty.
# Needs unshare, mount and setpriv (util-linux). The folder OUT, if set, is /srv/videos.
set -eu
root=$1
shift
export ROOT="$root" OUT="${OUT:-}"
exec unshare --mount --pid --fork --ipc sh -ec '
    mount --make-rprivate /
    mount --bind "$ROOT" "$ROOT"
    for place in var/lib/video-pipeline var/cache/video-pipeline srv/videos tmp; do
        mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$ROOT/$place"
    done
    test -z "$OUT" || mount --bind "$OUT" "$ROOT/srv/videos"
    mount --rbind /dev "$ROOT/dev"
    mount -t proc proc "$ROOT/proc"
    mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$ROOT/dev/shm"
    mount -o remount,bind,ro "$ROOT"
    exec chroot "$ROOT" setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs --bounding-set=-all \
        env -i PATH=/opt/video-pipeline/bin:/usr/bin:/bin HOME=/var/lib/video-pipeline PYTHONDONTWRITEBYTECODE=1 \
        CACHE_PATH=/var/cache/video-pipeline VIDEO_OUTPUT_PATH=/srv/videos "$@"
' sh "$@"
