"""Build an image of the engine with docker, podman or buildah: `make image IMAGE=cpu|cuda`.

pip's settings and this machine's authorities reach the build as secrets, which no layer keeps; folders of an index on
this machine (file:) are mounted.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILDERS = ("docker", "podman", "buildah")
AUTHORITIES = "/root/authorities.pem"
"""Where a build finds this machine's authorities; the Dockerfiles say so too."""


def find_builder(wanted: str | None) -> str:
    """Return the first builder that is installed and works, or the wanted one; raise SystemExit."""
    for name in (wanted,) if wanted else BUILDERS:
        if shutil.which(name) is None:
            continue
        check = [name, "version" if name == "docker" else "info"]
        if subprocess.run(check, capture_output=True, check=False).returncode == 0:
            return name
    raise SystemExit(f"image: none of {', '.join(BUILDERS)} works here; install one, or name it by BUILDER=")


def pip_settings(listing: str, *, authorities: bool) -> tuple[str, list[str]]:
    """Return a pip.conf from the output of `pip config list`, and the folders of indexes on this machine."""
    values: dict[str, str] = {}
    for line in listing.splitlines():
        name, _, value = line.partition("=")
        key = name.split(".", 1)[-1].lower()
        if name.startswith((":env:.", "global.", "install.", "wheel.")) and key in (
            *("index-url", "extra-index-url", "find-links", "trusted-host", "timeout"),
        ):
            values[key] = value.strip("'\"").replace("\\n", " ")
    if authorities:
        values["cert"] = AUTHORITIES
    folders = [
        word.removeprefix("file://")
        for key in ("index-url", "extra-index-url", "find-links")
        for word in values.get(key, "").split()
        if word.startswith(("file:///", "/"))
    ]
    # pip's folder layout is .../simple with its files beside it.
    folders = [folder.removesuffix("/").removesuffix("/simple") for folder in folders]
    text = "[global]\n" + "".join(f"{key} = {value}\n" for key, value in sorted(values.items()))
    return text, sorted({folder for folder in folders if Path(folder).is_dir()})


def build_command(
    builder: str,
    *,
    image: str,
    tag: str,
    arguments: Mapping[str, str],
    secrets: Mapping[str, Path],
    folders: Sequence[str],
    options: Sequence[str] = (),
) -> list[str]:
    """Return the command that builds docker/IMAGE.Dockerfile. Raises SystemExit if the builder cannot mount a folder."""
    if folders and builder == "docker":
        raise SystemExit(
            f"image: pip uses folders of this machine ({', '.join(folders)}), which docker does not mount while it builds; "
            "use podman or buildah, or an index that is reached over the network"
        )
    command = [builder, "bud" if builder == "buildah" else "build"]
    for key, value in arguments.items():
        command += ["--build-arg", f"{key}={value}"]
    for name, path in secrets.items():
        command += ["--secret", f"id={name},src={path}"]
    for folder in folders:
        command += ["--volume", f"{folder}:{folder}:ro"]
    return [*command, *options, "-f", str(ROOT / "docker" / f"{image}.Dockerfile"), "-t", tag, str(ROOT)]


def authorities_of(environ: Mapping[str, str]) -> Path | None:
    """Return the file of authorities that this machine's programs are told to use, if there is one."""
    for name in ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        path = Path(environ.get(name) or "/nonexistent")
        if path.is_file():
            return path
    return None


def main(argv: Sequence[str] | None = None) -> int:
    """Build an image; return the builder's exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--image", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--tag", help="default: video-pipeline:IMAGE")
    parser.add_argument("--base", help="the base image, of Debian 12 or newer")
    parser.add_argument("--digest", help="the base's digest, sha256:…")
    parser.add_argument("--extras", help="extras of the package, such as farm,web,fleet,svg")
    parser.add_argument("--builder", choices=BUILDERS)
    parser.add_argument("options", nargs="*", help="further options of the builder, after --")
    given = parser.parse_args(argv)
    if given.digest and not re.fullmatch(r"sha256:[0-9a-f]{64}", given.digest):
        parser.error(f"--digest: got {given.digest}; allowed: sha256: and 64 hexadecimal digits")
    named = {"BASE": given.base, "DIGEST": given.digest, "EXTRAS": given.extras}
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    authorities = authorities_of(os.environ)
    settings, folders = pip_settings(listing, authorities=authorities is not None)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pip.conf"
        file.write_text(settings, encoding="utf-8")
        secrets = {"pip": file} | ({"authorities": authorities} if authorities else {})
        command = build_command(
            find_builder(given.builder),
            image=given.image,
            tag=given.tag or f"video-pipeline:{given.image}",
            arguments={key: value for key, value in named.items() if value},
            secrets=secrets,
            folders=folders,
            options=given.options,
        )
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
