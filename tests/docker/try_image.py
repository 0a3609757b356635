"""Build the CPU image on a base made here, and run it with a read-only root, as root, with buildah: `make image-check`.

No container engine runs: the base comes from mmdebstrap, buildah builds in a chroot, and docker/run-read-only.sh runs
the image's files as user 10001. It needs Debian's package index and Python's, and takes minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import av

from tests.support.paths import ROOT

TOOLS = ("buildah", "mmdebstrap", "unshare", "setpriv")
TAG = "video-pipeline:soak"
BASE = "localhost/base"


def missing() -> str:
    """Return why this machine cannot do it, empty if it can."""
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    if absent:
        return f"{', '.join(absent)} not installed"
    if os.geteuid() != 0:
        return "it needs root"
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True, check=False)
    return tried.stderr.strip() if tried.returncode else ""


def run(*command: str | Path, environ: Mapping[str, str], capture: bool = False) -> str:
    """Run a program; return its output if captured. Raises CalledProcessError."""
    done = subprocess.run(
        command, env=dict(environ), check=True, text=True, stdout=subprocess.PIPE if capture else None
    )
    return done.stdout or ""


def build(folder: Path, environ: Mapping[str, str], *, suite: str, base: Path | None) -> None:
    """Build base and image; `base` is a base's archive that was made before."""
    packed = folder / "base.tar"
    if base is None:
        run("mmdebstrap", "--variant=minbase", suite, packed, environ=environ)
    else:
        shutil.copyfile(base, packed)
    (folder / "Containerfile").write_text("FROM scratch\nADD base.tar /\n")
    run("buildah", "bud", "-t", BASE, "-f", folder / "Containerfile", folder, environ=environ)
    run(
        *(sys.executable, ROOT / "docker/image.py", "--builder", "buildah", "--base", BASE, "--tag", TAG),
        environ=environ,
    )


def check(root: Path, out: Path, environ: Mapping[str, str]) -> None:
    """Run an image's files read-only: who, where, `doctor`, a render, a node. Raises AssertionError."""
    documents = root / "usr/share/doc/video-pipeline"
    bill = json.loads((documents / "sbom.cdx.json").read_text())
    places = [component.get("purl", "") for component in bill["components"]]
    assert any(place.startswith("pkg:pypi/av@") for place in places)
    assert any(place.startswith("pkg:deb/debian/tini@") for place in places)
    assert (documents / "NOTICE").exists()
    assert len((documents / "licences.txt").read_text().splitlines()) > 20
    assert not list(root.glob("opt/video-pipeline/lib/python3*/site-packages/pip"))
    assert not (root / "root/.config/pip/pip.conf").exists()
    assert not (root / "root/authorities.pem").exists()
    out.mkdir()
    os.chown(out, 10001, 10001)
    shutil.copy(ROOT / "examples/lighthouse.json", out)
    inside = {**environ, "OUT": str(out)}
    read_only = (ROOT / "docker/run-read-only.sh", root)
    who = run(*read_only, "sh", "-c", "id -u; touch /etc/x 2>&1 || true", environ=inside, capture=True)
    assert who.splitlines()[0] == "10001"
    assert "Read-only file system" in who
    found = run(*read_only, "video-pipeline", "doctor", environ=inside, capture=True)
    assert "compositor    yes native" in found, found
    run(
        *(*read_only, "video-pipeline", "render", "/srv/videos/lighthouse.json", "--proxy"),
        *("-o", "/srv/videos/lighthouse.mp4"),
        environ=inside,
    )
    with av.open(str(out / "lighthouse.mp4")) as video:
        assert video.duration is not None
        assert video.duration > 5_000_000
    script = (
        "video-pipeline serve & node=$!; for i in $(seq 60); do sleep 1; "
        "python3 -c 'import urllib.request as u; u.urlopen(\"http://127.0.0.1:5580/readyz\", timeout=5)' 2>/dev/null "
        "&& break; done; kill -TERM $node; wait $node; echo ended with $?"
    )
    ended = run(*read_only, "sh", "-c", script, environ=inside, capture=True)
    assert ended.splitlines()[-1] == "ended with 0", ended


def main() -> int:
    """Build and check; return 0, also if this machine cannot do it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--suite", default="bookworm", help="Debian's release of the base")
    parser.add_argument("--base", type=Path, help="archive of a base that mmdebstrap made before")
    given = parser.parse_args()
    reason = missing()
    if reason:
        print(f"the image was not built: {reason}")
        return 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="vp-image-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        storage = folder / "storage.conf"
        storage.write_text(
            f'[storage]\ndriver = "vfs"\nrunroot = "{folder}/run"\ngraphroot = "{folder}/images"\n'
        )
        environ = {**os.environ, "CONTAINERS_STORAGE_CONF": str(storage), "BUILDAH_ISOLATION": "chroot"}
        build(folder, environ, suite=given.suite, base=given.base)
        built = time.monotonic()
        container = run("buildah", "from", TAG, environ=environ, capture=True).strip()
        root = Path(run("buildah", "mount", container, environ=environ, capture=True).strip())
        try:
            check(root, folder / "out", environ)
        finally:
            run("buildah", "umount", container, environ=environ, capture=True)
    print(f"image: built in {built - began:.0f} s, checked in {time.monotonic() - built:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
