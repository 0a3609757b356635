"""Finished jobs without a render: a published folder, and the job completed in the ledger."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

from tests.support.ledgers import claim, submit
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.outputs.paths import OutputPaths
from video_pipeline.engine.storage.local import RESULT, published_result


def video_bytes(size: int, seed: int = 1) -> bytes:
    """Return bytes without a pattern, the same for the same seed."""
    return random.Random(seed).randbytes(size)


def staged_files(folder: Path, *, size: int = 3_000_000, name: str = "film", seed: int = 1) -> None:
    """Write what a worker leaves of a finished video of `size` bytes, beside small other files."""
    paths = OutputPaths(folder / f"{name}.mp4").by_role()
    folder.mkdir(parents=True)
    outputs = []
    for role, path in paths.items():
        data = video_bytes(size, seed) if role == "video" else f"{role} of {name}".encode()
        if role == "manifest":
            data = json.dumps({"outputs": outputs}).encode()
        path.write_bytes(data)
        outputs.append(
            {"role": role, "name": path.name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        )
    files = {role: path.name for role, path in paths.items()}
    (folder / RESULT).write_text(json.dumps({"files": files}), encoding="utf-8")


def finished_job(
    ledger: Ledger,
    output: Path,
    *,
    size: int = 3_000_000,
    owner: str = "local",
    name: str = "film",
    seed: int = 1,
) -> str:
    """Complete a job whose video has `size` bytes; return its id."""
    job_id = submit(ledger, name, owner=owner)
    attempt = claim(ledger)
    assert attempt.job_id == job_id
    staged_files(output / job_id, size=size, name=name, seed=seed)
    assert ledger.attempts.begin_publishing(job_id, attempt.fence)
    assert ledger.attempts.complete(job_id, attempt.fence, published_result(output / job_id))
    return job_id
