"""The configuration from YAML, dictionaries and environment variables, and their precedence."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from tests.support.paths import GUIDE_CONFIG
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.config.load import ENVIRONMENT
from video_pipeline.engine.errors import ConfigError


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (*ENVIRONMENT, "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)


def refusal(source: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(source)
    return str(caught.value)


def write(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_original_yaml_loads_unchanged() -> None:
    config = load_config(GUIDE_CONFIG)
    assert config.processing.model_dump() == {
        "max_concurrent_jobs": 4,
        "job_timeout": 600,
        "retry_attempts": 3,
        "retry_backoff_multiplier": 2,
        "redis_url": None,
    }
    video = config.video
    assert (video.fps, video.codec, video.audio_codec) == (30, "libx264", "aac")
    assert (video.bitrate, video.preset, video.default_aspect_ratio) == ("8000k", "medium", "9:16")
    assert (video.default_duration, video.canvas_px()) == (60, (1080, 1920))
    assert (video.resolutions.square, video.resolutions.landscape) == ((1080, 1080), (1920, 1080))
    images = config.images
    assert (images.service, images.api_endpoint) == ("stable_diffusion", "https://api.stability.ai/v1")
    assert (images.max_retries, images.timeout, images.fallback_enabled) == (3, 30, True)
    assert (images.cache_enabled, images.cache_ttl) == (True, 604800)
    tts = config.tts
    assert (tts.service, tts.voice, tts.speech_rate, tts.pitch) == ("google_tts", "en-US-Neural2-C", 1.0, 0)
    assert (tts.fallback_enabled, tts.cache_enabled, tts.cache_ttl) == (True, True, 2592000)
    scenes = config.scenes
    assert (scenes.default_duration, scenes.transition_duration) == (5.0, 0.5)
    assert (scenes.text_position, scenes.text_size) == ("bottom", 48)
    assert (scenes.text_color, scenes.text_font) == ("#FFFFFF", "Arial-Bold")
    assert config.publishing.model_dump(include={"auto_publish", "platforms", "scheduling_enabled"}) == {
        "auto_publish": False,
        "platforms": ("instagram", "youtube"),
        "scheduling_enabled": True,
    }
    storage = config.storage
    assert storage.output_path == Path("/var/videos/generated")
    assert storage.cache_path == config.cache_dir() == Path("/var/cache/video_pipeline")
    assert storage.temp_path == Path("/tmp/video_pipeline")
    assert storage.max_storage_gb == 500
    assert config.error_handling.model_dump() == {
        "policy": None,
        "fallback_enabled": True,
        "log_level": "INFO",
        "alert_on_failure": True,
    }


@pytest.mark.parametrize(
    "text", ["", "video_pipeline:\n", "# nothing\n", "video_pipeline:\n  video:\n", "{}"]
)
def test_an_empty_file_is_the_defaults(tmp_path: Path, text: str) -> None:
    assert load_config(write(tmp_path, text)) == load_config() == Config()


@pytest.mark.parametrize(
    "data",
    [
        {"video_pipeline": {"video": {"fps": 25}}},
        {"video": {"fps": 25}},
        {"fps": 25},
        {"fps": 25, "video": None},
        {"video": {}, "fps": 25, "add_title_to_thumbnail": True},
    ],
)
def test_the_three_shapes_of_a_configuration_mean_the_same(data: dict[str, Any]) -> None:
    assert load_config(data) == load_config({"video": {"fps": 25}})


def test_flat_dictionaries_of_the_original_format_are_accepted() -> None:
    renderer = load_config({"fps": 30, "codec": "libx264", "audio_codec": "aac", "bitrate": "8000k"})
    assert (renderer.video.fps, renderer.video.codec, renderer.video.bitrate) == (30, "libx264", "8000k")
    composer = load_config({"default_scene_duration": 7.0, "transition_duration": 0.25})
    assert (composer.scenes.default_duration, composer.scenes.transition_duration) == (7.0, 0.25)
    assert not load_config({"fallback_enabled": False}).error_handling.fallback_enabled


def test_loading_does_not_change_the_dictionary() -> None:
    data: dict[str, Any] = {"video": {"preset": "fast"}, "fps": 25}
    load_config(data)
    assert data == {"video": {"preset": "fast"}, "fps": 25}


def test_a_config_object_is_returned_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config()
    monkeypatch.setenv("CACHE_PATH", "/elsewhere")
    assert load_config(config) is config


def test_options_override_the_environment_which_overrides_the_file_and_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, "video_pipeline: {storage: {cache_path: /file, output_path: /file}}")
    assert load_config().storage.output_path == Path()
    assert load_config(path).storage.output_path == Path("/file")
    monkeypatch.setenv("VIDEO_OUTPUT_PATH", "/environment")
    assert load_config(path).storage.output_path == Path("/environment")
    assert load_config(path).storage.cache_path == Path("/file")
    option = load_config(path).override("storage", output_path=Path("/option"), cache_path=None)
    assert option.storage.output_path == Path("/option")
    assert option.storage.cache_path == Path("/file")
    assert load_config(path, environ=False).storage.output_path == Path("/file")


def test_every_environment_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEO_OUTPUT_PATH", "/videos")
    monkeypatch.setenv("CACHE_PATH", "/cache")
    monkeypatch.setenv("MAX_CONCURRENT_JOBS", "7")
    monkeypatch.setenv("REDIS_URL", "redis://redis:6379")
    config = load_config()
    assert config.storage.output_path == Path("/videos")
    assert config.cache_dir() == Path("/cache")
    assert config.processing.max_concurrent_jobs == 7
    assert config.processing.redis_url == "redis://redis:6379"


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHE_PATH", "")
    assert load_config().storage.cache_path is None


@pytest.mark.parametrize("value", ["many", "-1", "2.5", "0"])
def test_a_wrong_variable_is_named_with_its_value(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("MAX_CONCURRENT_JOBS", value)
    message = refusal(None)
    assert message.startswith(f"environment variable MAX_CONCURRENT_JOBS: got {value!r}; allowed: ")
    assert message.endswith("1 to 1024")


def test_the_cache_is_in_the_user_s_folder_by_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert load_config().cache_dir() == tmp_path / "video-pipeline"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_config().cache_dir() == tmp_path / ".cache" / "video-pipeline"
    assert load_config({"storage": {"cache_path": "~/c"}}).cache_dir() == tmp_path / "c"


WRONG: list[tuple[dict[str, Any], list[str]]] = [
    (
        {"vidoe": {}},
        [
            "vidoe: unknown key (did you mean 'video'?)",
            "known keys: audio, captions, end_card, error_handling",
        ],
    ),
    (
        {"video": {"fpss": 30}},
        [
            "video.fpss: unknown key (did you mean 'fps'?)",
            "known keys: aq, aq_strength, audio_codec, b_adapt",
        ],
    ),
    ({"scenes": {"text_stroke": {"widht": 3}}}, ["scenes.text_stroke.widht", "did you mean 'width'?"]),
    ({"video": 5}, ["video: got 5", "an object"]),
    ({1: 2}, ["keys that are text"]),
    ({"fps": "fast"}, ["video.fps: got 'fast'", "allowed: 24 to 60 frames per second"]),
    ({"fps": 12}, ["video.fps: got 12", "allowed: 24 to 60 frames per second"]),
    ({"fps": 61}, ["video.fps: got 61"]),
    ({"fps": 0}, ["video.fps: got 0"]),
    ({"fps": True}, ["video.fps: got True"]),
    ({"fps": "1/0"}, ["video.fps: got '1/0'"]),
    ({"fps": float("nan")}, ["video.fps: got nan"]),
    ({"bitrate": "fast"}, ["video.bitrate: got 'fast'", "8k to 1000M"]),
    ({"bitrate": 0}, ["video.bitrate: got 0"]),
    ({"bitrate": "8000k; rm"}, ["video.bitrate"]),
    ({"codec": "h265"}, ["video.codec: got 'h265'", "'libx264'", "'h264_nvenc'"]),
    ({"crf": 52}, ["video.crf: got 52", "allowed: 0 to 51"]),
    ({"crf": float("nan")}, ["video.crf: got nan", "a finite number"]),
    ({"video": {"size": [1081, 1920]}}, ["video.size: got [1081, 1920]", "allowed: even sides"]),
    ({"video": {"size": "540*960"}}, ["video.size: got '540*960'", "allowed: WxH in pixels"]),
    ({"video": {"size": "8x960"}}, ["video.size[0]: got 8", "16"]),
    ({"video": {"size": [8, 8]}}, ["video.size[0]: got 8", "16"]),
    ({"video": {"size": [1080, 100_000]}}, ["video.size[1]: got 100000", "4096"]),
    (
        {"video": {"resolutions": {"portrait": [1080, 1919]}}},
        ["portrait: got [1080, 1919]", "allowed: even sides"],
    ),
    ({"video": {"default_aspect_ratio": "3:2"}}, ["default_aspect_ratio: got '3:2'", "'9:16', '1:1'"]),
    ({"video": {"compositor": "magic"}}, ["video.compositor: got 'magic'", "'ffmpeg'"]),
    ({"scenes": {"text_color": "blurple"}}, ["scenes.text_color: got 'blurple'", "#RRGGBB"]),
    ({"scenes": {"transition": "wibble"}}, ["scenes.transition: got 'wibble'", "wipeleft"]),
    ({"scenes": {"effects": ["wobble"]}}, ["scenes.effects[0]: got 'wobble'", "'ken_burns'"]),
    (
        {"scenes": {"default_duration": -5}},
        ["scenes.default_duration: got -5", "allowed: more than 0, at most 3600"],
    ),
    ({"tts": {"pitch": 99}}, ["tts.pitch: got 99", "allowed: -20 to 20"]),
    ({"error_handling": {"log_level": "LOUD"}}, ["log_level: got 'LOUD'", "'WARNING'"]),
    ({"video": 5, "fps": 30}, ["video: got 5"]),
]


@pytest.mark.parametrize(("data", "words"), WRONG, ids=[str(data)[:40] for data, _ in WRONG])
def test_a_wrong_key_or_value_is_named_with_what_is_allowed(data: dict[str, Any], words: list[str]) -> None:
    message = refusal(data)
    assert message.startswith("configuration: ")
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("video: [", "not YAML"),
        ("- a\n- b\n", "got list; allowed: a mapping of sections"),
        ("video_pipeline: 5", "video_pipeline: got 5; allowed: a mapping of sections"),
        ("video: {fps: 30}\nvideo: {fps: 25}", "the key 'video' is given twice"),
        ("video: {fps: 300}", "video.fps: got 300"),
        ("video_pipeline: {video: {fps: 30}}\nvideo: {fps: 25}", "video_pipeline: unknown key"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = write(tmp_path, text)
    message = refusal(path)
    assert message.startswith(f"{path}: ")
    assert words in message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert (
        refusal(tmp_path / "gone.yaml")
        == f"{tmp_path / 'gone.yaml'}: cannot be read: No such file or directory"
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (24, 24),
        ("30000/1001", Fraction(30000, 1001)),
        (29.97, Fraction(30000, 1001)),
        (23.976, Fraction(24000, 1001)),
        (60, 60),
    ],
)
def test_frame_rates_from_film_to_sixty_are_taken(written: Any, meant: Fraction) -> None:
    assert load_config({"fps": written}).video.fps == meant


@pytest.mark.parametrize(
    ("written", "meant"), [(8_000_000, "8000k"), ("8M", "8M"), (64_000, "64k"), ("192K", "192K")]
)
def test_bit_rates_are_numbers_or_ffmpeg_s_words(written: Any, meant: str) -> None:
    assert load_config({"bitrate": written}).video.bitrate == meant


@pytest.mark.parametrize(
    ("video", "size"),
    [
        ({"default_aspect_ratio": "1:1"}, (1080, 1080)),
        ({"default_aspect_ratio": "16:9"}, (1920, 1080)),
        ({"default_aspect_ratio": "4:5"}, (1080, 1350)),
        ({"default_aspect_ratio": "4:5", "size": [640, 360]}, (640, 360)),
        ({"default_aspect_ratio": "4:5", "size": "640x360"}, (640, 360)),
        ({"resolutions": {"portrait": [720, 1280]}}, (720, 1280)),
    ],
)
def test_the_frame_is_a_size_or_an_aspect(video: dict[str, Any], size: tuple[int, int]) -> None:
    assert load_config({"video": video}).video.canvas_px() == size


def test_an_error_about_an_option_names_its_key() -> None:
    with pytest.raises(ConfigError, match=r"option: video\.fps: got 7"):
        Config().override("video", fps=7)
    config = Config()
    assert config.override("video", fps=None, crf=None) is config


def sections() -> list[tuple[str, type[BaseModel]]]:
    return [(name, field.annotation) for name, field in Config.model_fields.items() if field.annotation]


@pytest.mark.parametrize(("name", "section"), sections())
def test_every_key_has_a_description(name: str, section: type[BaseModel]) -> None:
    assert section.__doc__
    for key, field in section.model_fields.items():
        assert field.description, f"{name}.{key}"
        assert field.description.rstrip(".") != ""
