"""`video-pipeline voices`: list the offline voices by language, and let one speak."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from video_pipeline.engine.cli.command import Command
from video_pipeline.engine.common.extras import install_extra
from video_pipeline.engine.common.process import importing


def _add_voices_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "List the voices that speak on this machine without a network, by language, and what the other languages "
        "need. With --sample, write what a voice sounds like."
    )
    parser.epilog = (
        "examples:\n  video-pipeline voices\n"
        "  video-pipeline voices --language fr --sample french.wav\n"
        "  video-pipeline voices --voice em_alex --sample alex.wav --text 'Buenos días.'"
    )
    parser.add_argument("--language", metavar="CODE", help="only this language (ISO 639-1, such as fr)")
    parser.add_argument("--voice", metavar="NAME", help="only this voice")
    parser.add_argument(
        "--sample",
        metavar="FILE",
        type=Path,
        help="speak into this WAV file; default voice: that of the language",
    )
    parser.add_argument("--text", metavar="TEXT", help="what is spoken; default: a sentence of the language")
    parser.add_argument("--config", metavar="FILE", type=Path, help="configuration file (YAML)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _show_voices(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.assets.speech.service import AUTO
        from video_pipeline.engine.assets.speech.voices import speak_sample, voices_by_language
        from video_pipeline.engine.cli.options import configuration
        from video_pipeline.engine.common.similar import similar
        from video_pipeline.engine.errors import ConfigError

    known = voices_by_language()
    code = arguments.language.split("-")[0].lower() if arguments.language else None
    if code is not None and code not in [each.code for each in known]:
        allowed = ", ".join(f"{each.code} ({each.name})" for each in known)
        raise ConfigError(f"--language: got {arguments.language!r}; allowed offline: {allowed}")
    names = [voice for each in known for voice in each.voices]
    if arguments.voice is not None and arguments.voice not in names:
        near = similar(arguments.voice, names)
        meant = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
        raise ConfigError(
            f"--voice: got {arguments.voice!r}, which no installed voice is called; {meant}"
            "`video-pipeline voices` lists them"
        )
    chosen = [
        each
        for each in known
        if code in (None, each.code) and (arguments.voice is None or arguments.voice in each.voices)
    ]
    if not chosen:
        raise ConfigError(f"--voice: got {arguments.voice!r}, which does not speak {arguments.language!r}")
    report = {
        "languages": [
            {
                "language": each.code,
                "name": each.name,
                "service": each.service,
                "voices": [voice for voice in each.voices if arguments.voice in (None, voice)],
                "missing": list(each.missing),
                "credits": list(each.credits),
            }
            for each in chosen
        ]
    }
    if arguments.sample is not None:
        tts = configuration(arguments).tts
        voice = arguments.voice or (AUTO if code else tts.voice)
        settings = tts.model_copy(update={"voice": voice, "service": AUTO})
        spoke = speak_sample(settings, arguments.sample, language=code, text=arguments.text)
        report["sample"] = {"file": str(arguments.sample), "voice": spoke}  # type: ignore[assignment]
    if arguments.json:
        print(json.dumps(report, ensure_ascii=False, indent=2))
        return 0
    if arguments.sample is not None:
        print(f"{arguments.sample}: {spoke}")
        return 0
    for each in chosen:
        shown = ", ".join(voice for voice in each.voices if arguments.voice in (None, voice))
        print(f"{each.code}  {each.name:11} {shown or need(each.missing)} ({each.service})")
    if arguments.voice is not None:
        print(f"hear it: video-pipeline voices --voice {arguments.voice} --sample {arguments.voice}.wav")
    return 0


def need(missing: tuple[str, ...] | list[str]) -> str:
    """Return what a language without a voice needs; `missing` are packages of the extra that are not installed."""
    return f"none: {install_extra('voices')}" if missing else "none"


COMMANDS: dict[str, Command] = {"voices": (_add_voices_options, _show_voices)}
