"""Tell whether a folder is on a network share, where locks and write-ahead logs are unreliable."""

from __future__ import annotations

import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")

NETWORK_TYPES = frozenset(
    {
        "afs",
        "ceph",
        "cifs",
        "fuse.ceph",
        "fuse.glusterfs",
        "fuse.s3fs",
        "fuse.sshfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "smb2",
        "smb3",
        "smbfs",
    }
)


def network_type(folder: Path, *, mounts: Path = MOUNTS) -> str | None:
    """Return the type of the network file system that a folder is on, or None if no such mount is known.

    `mounts` has the format of proc_pid_mountinfo(5). Of several mounts on one path, the last hides the others.
    """
    try:
        lines = mounts.read_text(errors="replace").splitlines()
        resolved = folder.resolve()
    except OSError:
        return None
    found, depth = None, -1
    for line in lines:
        fields, _, source = line.partition(" - ")
        place = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields.split(" ")[4]))
        if len(place.parts) >= depth and resolved.is_relative_to(place):
            found, depth = source.split(" ")[0], len(place.parts)
    return found if found in NETWORK_TYPES else None
