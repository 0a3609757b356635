"""`video-pipeline doctor`: report what this machine can do, and why other parts do not work."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from video_pipeline.engine import __version__
from video_pipeline.engine.assets.fonts import CJK_EXTRA, FontCatalogue, has_cjk_fonts
from video_pipeline.engine.assets.picture_readers import picture_readers
from video_pipeline.engine.assets.speech.voices import voices_by_language
from video_pipeline.engine.cli.doctor_accounts import account_lines, delivery_problems, examine_accounts
from video_pipeline.engine.cli.doctor_fleet import examine_fleet, fleet_line
from video_pipeline.engine.cli.doctor_gpus import examine_gpus, gpu_lines
from video_pipeline.engine.cli.doctor_notifications import examine_notifications
from video_pipeline.engine.cli.doctor_profiles import examine_profiles, profile_lines
from video_pipeline.engine.cli.doctor_services import examine_pictures, examine_speech, service_lines
from video_pipeline.engine.cli.doctor_tuning import examine_tuning, tuning_lines
from video_pipeline.engine.cli.doctor_web import examine_web, web_line
from video_pipeline.engine.cli.voices_command import need
from video_pipeline.engine.common.cache import open_cache
from video_pipeline.engine.common.counts import count_text
from video_pipeline.engine.common.extras import the_extra
from video_pipeline.engine.common.open_store import open_store, try_store
from video_pipeline.engine.common.registry import Selection
from video_pipeline.engine.config import Config
from video_pipeline.engine.config.families import COMPOSITORS, ENCODERS
from video_pipeline.engine.config.looks import look_names
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.jobs.dispatch.capacity import default_slots
from video_pipeline.engine.machine.cores import cpu_count
from video_pipeline.engine.machine.ffmpeg_program import ffmpeg_programs, find_ffmpeg
from video_pipeline.engine.machine.hwaccel import try_hwaccel
from video_pipeline.engine.render.compositors.choice import choose_compositor, probe_compositor
from video_pipeline.engine.render.encoders.choice import choose_encoding, probe_encoder

PACKAGES = (
    "av",
    "numpy",
    "Pillow",
    "pydantic",
    "ffmpeg-python",
    "imageio-ffmpeg",
    "hibari-tts",
    "httpx",
    "manimgx-fonts",
    "markdown-it-py",
    "unicode-rbnf",
)


def examine(config: Config) -> dict[str, Any]:
    """Inspect the machine; return plain values, in which `problems` lists what prevents a render."""
    problems: list[str] = []
    try:
        chosen: Path | None = find_ffmpeg().path
    except InputError as error:
        chosen = None
        problems.append(str(error))
    encoders = [probe_encoder(member.name, config.video) for member in ENCODERS.members]
    if not any(probe.works for probe in encoders):
        problems += [f"{probe.name}: {probe.reason}" for probe in encoders]
    cards, why_none = examine_gpus(config)
    remote = examine_speech(config)
    problems += delivery_problems(config)
    problems += config.node.missing_asset_roots()
    auto, faults = _auto(config)
    problems += faults
    try:
        looks = look_names(config.look.folder)
    except InputError as error:
        looks = look_names()
        problems.append(str(error))
    cache: dict[str, Any] = {"folder": None}
    try:
        folder = config.cache_dir()
        cache["folder"] = str(folder)
        open_cache(folder, max_bytes=1)
        usage = shutil.disk_usage(folder)
        cache |= {"writable": True, "free_gb": round(usage.free / 1e9, 1)}
        if usage.free < 2e9:
            problems.append(f"{folder}: only {usage.free / 1e6:,.0f} MB free")
    except InputError as error:
        cache["writable"] = False
        problems.append(str(error))
    shared: dict[str, Any] | None = None
    if config.fleet.store is not None:
        shared = {"store": config.fleet.store, "fault": None}
        try:
            shared["fault"] = try_store(open_store(config.fleet.store, endpoint=config.fleet.store_endpoint))
        except InputError as error:
            shared["fault"] = str(error)
        problems += [shared["fault"]] if shared["fault"] else []
    return {
        "version": __version__,
        "python": sys.version.split()[0],
        "system": f"{platform.system()} {platform.machine()}",
        "cores": cpu_count(),
        "packages": {name: _version(name) for name in PACKAGES},
        "ffmpeg": [
            {
                "path": str(program.path),
                "origin": program.origin,
                "version": program.version,
                "chosen": program.path == chosen,
                "missing_filters": sorted(program.missing),
                "perspective": "perspective" in program.filters,
            }
            for program in ffmpeg_programs()
        ],
        "encoders": [
            {"name": probe.name, "works": probe.works, "reason": probe.reason} for probe in encoders
        ],
        "hwaccel": asdict(try_hwaccel(chosen)) if chosen else None,
        "auto": auto,
        "gpus": cards,
        "gpus_reason": why_none,
        "slots": asdict(default_slots(config)),
        "http": examine_web(config),
        "fleet": examine_fleet(config),
        "profiles": examine_profiles(config.video),
        "looks": list(looks),
        "tuning": examine_tuning(),
        "compositors": [
            {"name": probe.name, "works": probe.works, "reason": probe.reason}
            for probe in (probe_compositor(member.name, config) for member in COMPOSITORS.members)
        ],
        "voices": [
            {
                "language": each.code,
                "name": each.name,
                "service": each.service,
                "voices": list(each.voices),
                "missing": list(each.missing),
            }
            for each in voices_by_language()
        ],
        "speech_services": remote,
        "image_services": examine_pictures(config),
        "accounts": examine_accounts(config),
        "notifications": examine_notifications(config),
        "picture_formats": [{"name": name, "missing": missing} for name, missing in picture_readers()],
        "font_families": list(FontCatalogue().names()),
        "cjk_fonts": has_cjk_fonts(),
        "cache": cache,
        "shared_store": shared,
        "problems": problems,
    }


def _auto(config: Config) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Return what `auto` takes, and what is wrong with a compositor or encoder that the configuration names."""
    found: dict[str, dict[str, str]] = {}
    faults: list[str] = []

    def note(family: str, wanted: str, choose: Callable[[str], Selection]) -> None:
        try:
            chosen = choose("auto")
            found[family] = {"name": chosen.name, "reason": chosen.reason}
            if wanted != "auto":
                choose(wanted)
        except InputError as error:
            faults.append(str(error))

    def encoder(name: str) -> Selection:
        return choose_encoding(config.video.model_copy(update={"codec": name}), session_wait=0).chosen_encoder

    note(
        "compositor",
        config.video.compositor,
        lambda wanted: choose_compositor(config.override("video", compositor=wanted)),
    )
    note("encoder", config.video.codec, encoder)
    return found, faults


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def as_text(found: dict[str, Any]) -> str:
    """Return the report as text."""

    def mark(good: bool) -> str:
        return "yes" if good else "no "

    packages = ", ".join(f"{name} {number}" for name, number in found["packages"].items())
    lines = [
        f"video-pipeline {found['version']}, Python {found['python']}, {found['system']}, {found['cores']} cores",
        f"packages      {packages}",
    ]
    for program in found["ffmpeg"]:
        lacks = f"; lacks {', '.join(program['missing_filters'])}" if program["missing_filters"] else ""
        used = "used" if program["chosen"] else "not used"
        lines.append(f"ffmpeg        {used}: {program['path']} ({program['origin']}){lacks}")
        lines.append(f"              {program['version'].split(' Copyright')[0]}")
    for encoder in found["encoders"]:
        lines.append(f"encoder       {mark(encoder['works'])} {encoder['name']}: {encoder['reason']}")
    if found["hwaccel"]:
        decoding = found["hwaccel"]
        lines.append(f"decoder       {mark(decoding['works'])} cuda (video clips): {decoding['reason']}")
    for card in found["gpus"]:
        lines += gpu_lines(card)
    if not found["gpus"]:
        lines.append(f"GPU           {found['gpus_reason']}")
    for compositor in found["compositors"]:
        lines.append(
            f"compositor    {mark(compositor['works'])} {compositor['name']}: {compositor['reason']}"
        )
    lines += profile_lines(found["profiles"])
    lines.append(f"looks         {', '.join(found['looks'])}")
    lines += tuning_lines(found["tuning"])
    for family, choice in found["auto"].items():
        lines.append(f"auto          {family} {choice['name']}: {choice['reason']}")
    slots = found["slots"]
    jobs = "one job" if slots["slots"] == 1 else f"{slots['slots']} jobs"
    each = count_text(slots["cores"], "core")
    encodes = any(encoder["works"] and encoder["name"].endswith("_nvenc") for encoder in found["encoders"])
    if slots["sessions"] and encodes:
        each += f" and {count_text(slots['sessions'], 'NVENC session')}"
    lines.append(
        f"job slots     {slots['slots']}, {each} each: a node renders {jobs} at once ({slots['reason']});"
    )
    lines.append("              to change it, set processing.max_concurrent_jobs or serve --slots")
    lines.append(web_line(found["http"]))
    lines.append(fleet_line(found["fleet"]))
    for spoken in found["voices"]:
        voices = ", ".join(spoken["voices"]) or need(spoken["missing"])
        lines.append(f"voices        {spoken['name']}: {voices} ({spoken['service']})")
    lines += service_lines("speech", found["speech_services"])
    lines += service_lines("pictures", found["image_services"])
    lines += account_lines(found["accounts"])
    lines += service_lines("notifications", found["notifications"])
    lines.append(
        f"stills        {', '.join(each['name'] for each in found['picture_formats'] if not each['missing'])}"
    )
    lines += [
        f"              {each['name']} {each['missing']}"
        for each in found["picture_formats"]
        if each["missing"]
    ]
    lines.append(f"fonts         {len(found['font_families'])} families: {', '.join(found['font_families'])}")
    if not found["cjk_fonts"]:
        lines.append(f"              Chinese, Japanese and Korean: {the_extra(CJK_EXTRA)} is not installed")
    cache = found["cache"]
    free = f", {cache['free_gb']} GB free" if cache.get("writable") else ", cannot be written"
    lines.append(f"cache         {cache['folder']}{free}")
    if found["shared_store"] is not None:
        fault = "cannot be used" if found["shared_store"]["fault"] else "works"
        lines.append(f"shared        {found['shared_store']['store']}, {fault}")
    lines += [f"problem       {problem}" for problem in found["problems"]]
    if not found["problems"]:
        lines.append("ready         this machine can render")
    return "\n".join(lines)
