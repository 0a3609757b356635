"""What an exception means for the job."""

from __future__ import annotations

import errno
import os

import pytest

from video_pipeline.engine.errors import (
    AssetError,
    ConfigError,
    FileChangedError,
    InputError,
    RenderingError,
    StoryError,
    SubprocessError,
    TTSError,
    UnavailableError,
)
from video_pipeline.engine.jobs.dispatch.failures import classify


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def no_space() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/out/v.mp4")


FFMPEG_FULL = SubprocessError(
    "sound", argv=["ffmpeg"], returncode=228, stderr="av_interleaved_write_frame(): No space left on device"
)
NO_SESSIONS = UnavailableError(
    "encoder 'h264_nvenc' is not usable here: every NVENC session that the driver allows is taken"
)
LOST_GPU = RenderingError("h264_nvenc: CUDA_ERROR_ILLEGAL_ADDRESS")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (StoryError("scenes[1]: …"), "permanent"),
        (ConfigError("video.fps: …"), "permanent"),
        (AssetError("scene 'b': the picture is damaged"), "permanent"),
        (TTSError("scene 'b': …"), "permanent"),
        (
            UnavailableError("encoder 'h264_nvenc' is not usable here: no NVIDIA driver on this machine"),
            "permanent",
        ),
        (RenderingError("the compositor drew too many frames"), "retryable"),
        (FileChangedError("scene 'b': /assets/b.mp4: the file changed during the render"), "retryable"),
        (RuntimeError("?"), "retryable"),
        (KeyError("x"), "retryable"),
        (no_space(), "machine"),
        (caused(RenderingError("/out/v.mp4: No space left on device"), no_space()), "machine"),
        (caused(InputError("output folder /out: cannot be written"), no_space()), "machine"),
        (caused(AssetError("scene 'b': the picture could not be kept"), no_space()), "machine"),
        (FFMPEG_FULL, "machine"),
        (NO_SESSIONS, "machine"),
        (LOST_GPU, "machine"),
    ],
)
def test_each_kind_of_failure_is_distinguished(error: BaseException, kind: str) -> None:
    failure = classify(error)
    assert failure.kind == kind
    assert failure.error_type == type(error).__name__
    assert failure.message


def test_a_full_disk_is_named_even_by_an_error_that_only_has_it_as_its_cause() -> None:
    failure = classify(caused(InputError("output folder /out: cannot be written"), no_space()))
    assert failure.message == "output folder /out: cannot be written: No space left on device"
    assert classify(no_space()).message.count("No space left") == 1


def test_a_file_over_the_limit_of_size_is_charged() -> None:
    error = OSError(errno.EFBIG, os.strerror(errno.EFBIG), "/out/v.mp4")
    failure = classify(caused(RenderingError("/out/v.mp4: cannot be written: File too large"), error))
    assert (failure.kind, failure.error_type) == ("retryable", "DiskLimit")
    assert "node.worker_disk_mb" in failure.message


def test_want_of_memory_is_worth_another_attempt_wherever_it_came_from() -> None:
    failure = classify(caused(RenderingError("no frame"), MemoryError()))
    assert (failure.kind, failure.error_type) == ("retryable", "MemoryLimit")


def test_an_error_that_says_itself_whether_it_is_permanent_is_believed() -> None:
    assert classify(RenderingError("…", permanent=True)).kind == "permanent"
    assert classify(AssetError("the server did not answer", permanent=False)).kind == "retryable"
