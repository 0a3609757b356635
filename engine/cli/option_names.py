"""Name the command-line option in an error about a value that an option gave."""

from __future__ import annotations

import argparse
import re

from video_pipeline.engine.jobs.client.transport import KEY_NAMES

OPTION_NAMES: dict[str, tuple[str, tuple[str, ...]]] = {
    "aspect": ("--aspect", ("video.default_aspect_ratio",)),
    "size": ("--size", ("video.size",)),
    "fps": ("--fps", ("video.fps",)),
    "compositor": ("--compositor", ("video.compositor",)),
    "encoder": ("--encoder", ("video.codec", "encoder")),
    "preset": ("--preset", ("video.preset",)),
    "crf": ("--crf", ("video.crf",)),
    "quality": ("--quality", ("video.quality",)),
    "bitrate": ("--bitrate", ("video.bitrate",)),
    "look": ("--look", ("look.name",)),
    "music": ("--music", ("audio.music",)),
    "bind": ("--bind", ("node.bind",)),
    "workers": ("--workers", ("workers",)),
    "slots": ("--slots", ("processing.max_concurrent_jobs",)),
    "connect": ("--connect", ("connect",)),
    "timeout": ("--timeout", ("timeout",)),
    "key_file": ("--key-file", (KEY_NAMES["key_file"], "key_file")),
    "node_key": ("--node-key", (KEY_NAMES["node_key"], "node_key")),
    "key": ("--key", ("submit: key", "key")),
    "schedule": ("--schedule", ("submit: scheduled_for",)),
    "max_attempts": ("--max-attempts", ("submit: max_attempts",)),
    "job_id": ("JOB", ("status: job_id", "files: job_id")),
    "files": ("--files", ("files",)),
    "output": ("--output", ("folder",)),
    "job_ids": ("JOB", ("cancel: job_id", "retry: job_id")),
    "name": ("NAME", ("client name",)),
    "material": ("MATERIAL", ("material",)),
    "held_out": ("--held-out", ("held_out",)),
    "strategy": ("--guided", ("guided",)),
    "space": ("--space", ("space",)),
    "jobs": ("--jobs", ("jobs",)),
    "trials": ("--trials", ("trials",)),
    "minutes": ("--minutes", ("minutes",)),
    "repeats": ("--repeats", ("repeats",)),
    "every": ("--every", ("every",)),
    "goals": ("--goals", ("goals",)),
    "metrics": ("--metrics", ("metrics",)),
    "min_vmaf": ("--min-vmaf", ("min_vmaf",)),
    "max_mbit": ("--max-mbit", ("max_mbit_s", "max_mbit")),
    "seconds": ("--seconds", ("seconds",)),
    "min_p1": ("--min-p1", ("min_p1",)),
    "min_phone": ("--min-phone", ("min_phone",)),
    "min_xpsnr": ("--min-xpsnr", ("min_xpsnr",)),
    "min_ssim": ("--min-ssim", ("min_ssim",)),
    "min_fps": ("--min-fps", ("min_fps",)),
    "max_vmaf_loss": ("--max-vmaf-loss", ("max_vmaf_loss",)),
    "max_p1_loss": ("--max-p1-loss", ("max_p1_loss",)),
    "max_xpsnr_loss": ("--max-xpsnr-loss", ("max_xpsnr_loss",)),
    "max_bytes": ("--max-bytes", ("max_bytes",)),
    "price": ("--price", ("price",)),
    "reference": ("--reference", ("trial",)),
    "trial": ("--trial", ("trial",)),
    "pictures": ("--pictures", ("pictures",)),
}
"""The option (or argument) of each attribute that argparse sets, and how an error about its value begins."""


def name_options(message: str, arguments: argparse.Namespace) -> str:
    """Return an error's message in which each line about the value of a given option begins with that option."""
    for attribute, (option, beginnings) in OPTION_NAMES.items():
        if getattr(arguments, attribute, None) is not None:
            begins = "|".join(re.escape(beginning) for beginning in beginnings)
            message = re.sub(rf"^(?:option: )?(?:{begins})(?:\[\d+\])?(?=:| \()", option, message, flags=re.M)
    return "\n".join(dict.fromkeys(message.splitlines()))  # both sides of a size give the same line
