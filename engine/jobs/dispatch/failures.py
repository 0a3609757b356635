"""Classify the exception of a failed attempt: permanent, retryable, or a fault of the machine."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator

from video_pipeline.engine.errors import (
    AssetError,
    InputError,
    PipelineError,
    RenderingError,
    UnavailableError,
)
from video_pipeline.engine.jobs.model import Failure, FailureKind

DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
DISK_WORDS = re.compile(r"No space left on device|Disk quota exceeded|Read-only file system")
GPU_WORDS = re.compile(
    r"CUDA_ERROR|no CUDA-capable device|CUDA could not be started|OpenEncodeSessionEx failed"
    r"|NVENC session|NVENC is out of sessions|incompatible client key|nvenc.*(unsupported device|No capable devices)"
    r"|GPU is lost|GPU has fallen off the bus"
)
MESSAGE_CHARACTERS = 4000
DISK_LIMIT = "DiskLimit"
"""The error type of an attempt that is charged for the disk space it took."""


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and its causes, the nearest first."""
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__


def classify(error: BaseException) -> Failure:
    """Return the kind of a failure, the class of the exception and its message."""
    if _machine(error):  # before memory: FFmpeg reports that of the GPU by a MemoryError too
        return Failure("machine", type(error).__name__, _message(error))
    if any(isinstance(cause, MemoryError) for cause in causes(error)):
        return Failure("retryable", "MemoryLimit", "the worker ran out of memory")
    message = _message(error)
    numbers = {getattr(cause, "errno", None) for cause in causes(error)}
    if errno.EFBIG in numbers:
        return Failure("retryable", DISK_LIMIT, f"{message}: node.worker_disk_mb allows no larger file")
    for number in {errno.ENOSPC, errno.EDQUOT} & numbers:
        if os.strerror(number) not in message:
            message = f"{message}: {os.strerror(number)}"
    return Failure(_kind(error), type(error).__name__, message)


def _message(error: BaseException) -> str:
    return (str(error) or repr(error))[:MESSAGE_CHARACTERS]


def _machine(error: BaseException) -> bool:
    """Return whether an error says itself that the machine is at fault."""
    return any(
        isinstance(cause, PipelineError) and cause.details.get("machine") is True for cause in causes(error)
    )


def _kind(error: BaseException) -> FailureKind:
    if any(getattr(cause, "errno", None) in DISK_ERRORS for cause in causes(error)):
        return "machine"
    text = "\n".join(str(cause) for cause in causes(error))
    # Other errors may quote the job, such as a file name, and so match by accident.
    own = isinstance(error, RenderingError | UnavailableError | OSError)
    if own and (DISK_WORDS.search(text) or GPU_WORDS.search(text)):
        return "machine"
    for cause in causes(error):
        permanent = cause.details.get("permanent") if isinstance(cause, PipelineError) else None
        if isinstance(permanent, bool):
            return "permanent" if permanent else "retryable"
    return "permanent" if isinstance(error, InputError | AssetError) else "retryable"
