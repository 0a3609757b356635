"""The sections of the configuration, with every default."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, ModelWrapValidatorHandler, model_validator

from video_pipeline.engine.common.captions import (
    CaptionAnimation,
    CaptionPosition,
    CaptionStyleChoice,
    Platform,
)
from video_pipeline.engine.config.caption_looks import describe_looks
from video_pipeline.engine.config.encoder_keys import EncoderKeys, Section
from video_pipeline.engine.config.families import COMPOSITORS, ENCODERS, SPEECH_SERVICES
from video_pipeline.engine.config.music_keys import MusicKeys
from video_pipeline.engine.config.policy import POLICIES, PolicyName
from video_pipeline.engine.config.profiles import (
    DEFAULT_PROFILE,
    NO_PROFILE,
    SHIPPED,
    ProfileChoice,
    with_profile,
)
from video_pipeline.engine.config.quality import quality_vmaf
from video_pipeline.engine.config.rate_control import DEFAULT_CRF, RateControl, cap_by_size
from video_pipeline.engine.config.speech_services import (
    SpeechServiceChoice,
    SpeechServiceKeys,
    SpeechServiceName,
)
from video_pipeline.engine.config.values import (
    Bitrate,
    FrameRate,
    LocalPath,
    Sides,
    Size,
    parse_bit_rate,
)
from video_pipeline.engine.story.fields import (
    BoxSpec,
    Colour,
    FitName,
    FontName,
    ShadowSpec,
    StrokeSpec,
    TransitionName,
)
from video_pipeline.engine.story.lexicon import Lexicon
from video_pipeline.engine.story.speakers import SPEAKER_COLOURS, SPEAKERS_MAX, SpeakerName, SpeakerSpec
from video_pipeline.filters.geometry import even

if TYPE_CHECKING:
    EncoderName = str
    CompositorName = str
else:  # a type checker cannot evaluate the tables
    EncoderName = Literal[ENCODERS.names]
    CompositorName = Literal[COMPOSITORS.names]
Corner = Literal["top_left", "top_right", "bottom_left", "bottom_right"]


class Processing(Section):
    """Jobs: their number at once, time limit and retries."""

    max_concurrent_jobs: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="Jobs rendered at once; null: what cores, memory, GPUs and NVENC sessions allow.",
    )
    job_timeout: float = Field(600, gt=0, description="Seconds that one attempt of a job may take.")
    retry_attempts: int = Field(3, ge=1, le=100, description="Attempts of a job in all.")
    retry_backoff_multiplier: float = Field(
        2,
        ge=1,
        le=100,
        description="Factor from one wait before a retry to the next; the first wait is 1 s.",
    )
    redis_url: str | None = Field(
        None,
        description="redis:// or rediss:// URL of the Redis in which `serve --fleet` keeps the list of machines (REDIS_URL); "
        "null: in its state folder.",
    )


def _fault_of_folder(folder: Path) -> str:
    """Return why a folder cannot be entered, or nothing."""
    try:
        (folder / "..").stat()  # it takes the right to enter the folder
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return "is not a folder"
    except OSError as error:
        return error.strerror or str(error)
    return ""


class Node(Section):
    """A render node: `video-pipeline serve`."""

    bind: str = Field(
        "tcp://127.0.0.1:5570", description="Address for requests: tcp://HOST:PORT or ipc://PATH."
    )
    events_bind: str | None = Field(
        None, description="Address for events; null: the next port, or PATH.events for ipc."
    )
    http_bind: str | None = Field(
        "127.0.0.1:5580", description="HOST:PORT of /metrics, /healthz and /readyz; null: no HTTP server."
    )
    state_path: LocalPath | None = Field(
        None,
        description="Folder of ledger, inline assets and job logs; default: the user's state folder.",
        strict=False,
    )
    asset_roots: tuple[LocalPath, ...] = Field(
        (), description="Folders (with subfolders) whose files jobs may use as assets.", strict=False
    )
    asset_urls: bool = Field(
        True, description="Whether a job's assets may be http(s) URLs on public addresses."
    )
    asset_max_mb: float = Field(256, gt=0, le=65536, description="Size of one fetched asset in MB.")
    assets_max_mb: float = Field(
        2048, gt=0, le=1048576, description="Size of all fetched assets of one attempt in MB."
    )
    fetch_timeout: float = Field(
        60, gt=0, le=3600, description="Seconds that fetching one asset may take, redirects included."
    )
    keys_path: LocalPath | None = Field(
        None,
        description="Folder of the node's key and of clients/; default: keys/ in the state folder.",
        strict=False,
    )
    curve: Literal["auto", "on", "off"] = Field(
        "auto", description="Encryption and client keys (CURVE); auto: on unless bind is loopback or ipc."
    )
    operators: tuple[str, ...] = Field(
        (), description="Names of client keys that see and change everyone's jobs."
    )
    max_queued: int = Field(
        10_000, ge=1, le=10_000_000, description="Jobs that may wait; more are rejected with BUSY."
    )
    high_reserve: float = Field(
        0.1, ge=0, le=1, description="Extra places for jobs of high priority, as a share of max_queued."
    )
    ageing: float = Field(
        600, ge=0, description="Seconds of waiting that count as much as one step of priority."
    )
    max_message_mb: float = Field(64, gt=0, le=1024, description="Size of one request with its parts in MB.")
    max_parts: int = Field(64, ge=0, le=1000, description="Inline assets of one request.")
    max_requests_per_second: float = Field(
        5000, gt=0, description="Requests per second of one client; more are rejected with RATE_LIMITED."
    )
    lease: float = Field(
        7.5,
        gt=0,
        le=600,
        description="Seconds without a sign of life after which a worker or the server is killed.",
    )
    max_video_seconds: float = Field(
        3600, gt=0, le=86400, description="Length of a job's video in seconds; longer ones are refused."
    )
    max_scenes: int = Field(2000, ge=1, le=2000, description="Scenes of a job's story; more are refused.")
    drain_timeout: float = Field(
        120,
        ge=0,
        description="Seconds that running jobs get to finish after SIGTERM; then they are queued again.",
    )
    worker_memory_mb: float = Field(2048, ge=128, description="Memory of one job's processes in MB.")
    worker_disk_mb: float = Field(
        10_000,
        gt=0,
        description="Temporary files and output of one attempt in MB; one that takes more is killed.",
    )
    jobs_per_worker: int = Field(100, ge=1, description="Jobs after which a worker process is replaced.")
    min_free_mb: float = Field(
        512,
        ge=0,
        description="Free space in MB that state, output and temp folder need for a job to start.",
    )
    keep_days: float = Field(30, gt=0, description="Days that ended jobs stay in the ledger.")

    def missing_asset_roots(self) -> list[str]:
        """Return a line for each folder of `asset_roots` in which no file can be opened; it may be mounted later."""
        return [
            f"node.asset_roots: {root.absolute()}: {fault}; jobs that name a file in it are refused until it can be used"
            for root in self.asset_roots
            if (fault := _fault_of_folder(root))
        ]


class Video(EncoderKeys):
    """Picture format and encoder."""

    profile: ProfileChoice = Field(
        DEFAULT_PROFILE,
        description=f"Profile, whose keys hold where this layer and those above set none: {', '.join(SHIPPED)}, or a "
        f"YAML file; {NO_PROFILE}: the preset alone. Without a profile, a preset that is set holds alone.",
    )

    fps: FrameRate = Field(Fraction(30), description="Frames per second, 24 to 60.")
    codec: EncoderName = Field(
        "auto", description=f"Encoder: {ENCODERS.summary()}; auto takes the first H.264 one that works."
    )
    audio_codec: Literal["aac"] = Field("aac", description="Audio codec.")
    session_wait: float = Field(
        30.0,
        ge=0,
        le=3600,
        description="Seconds to wait for an NVENC session that the driver refuses; then auto takes the CPU, and an "
        "encoder that is named fails (a node tries the job again, uncharged).",
    )
    edit_list: bool = Field(
        False,
        description="Write an MP4 edit list, which Instagram refuses; without one the first 21 ms of sound fade in.",
    )
    compositor: CompositorName = Field("auto", description=f"Compositor: {COMPOSITORS.summary()}.")
    gpu_memory_mb: float = Field(
        2000,
        ge=64,
        le=1_000_000,
        description="GPU memory in MB that drawing, and frames for NVENC, may take on each GPU in one render.",
    )
    default_aspect_ratio: Literal["9:16", "1:1", "16:9", "4:5"] = Field(
        "9:16", description="Aspect if no size is given."
    )
    size: Size | None = Field(
        None, description="Explicit size, 1080x1920 or [1080, 1920], even; overrides the aspect."
    )
    default_duration: float = Field(
        60, gt=0, le=36000, description="Intended length in seconds; a longer video causes a warning."
    )
    resolutions: Resolutions = Field(
        default_factory=lambda: Resolutions(),  # noqa: PLW0108 - defined below
        description="Sizes of the aspects.",
    )
    proxy: bool = Field(
        False, description="Render at half the width and height; --proxy sets it, with the fastest preset."
    )
    hwaccel: Literal["auto", "cuda", "none"] = Field(
        "auto",
        description="Decode video clips on an NVIDIA GPU (NVDEC): auto if that gives the CPU's pixels, cuda: an error if "
        "it does not work, none: never.",
    )
    motion: Literal["auto", "perspective", "zoompan"] = Field(
        "auto", description="FFmpeg filter that moves the camera; auto prefers subpixel perspective."
    )
    zoompan_oversample: int = Field(
        4, ge=1, le=8, description="Size of zoompan's input as a multiple of the frame's."
    )

    @model_validator(mode="wrap")
    @classmethod
    def _on_its_profile(cls, given: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(given, Mapping):
            return validate(given)
        whole = with_profile(given)
        video = validate(whole)
        # A node reads the profile again, and an encoder drops what it does not have, only for keys that are not given.
        video.model_fields_set.difference_update(whole.keys() - given.keys())
        return video

    def rate_control(self) -> RateControl:
        """Return the configured quality or bit rate; a quality that the user did not set has a cap by size."""
        cap = parse_bit_rate(self.max_bitrate) if self.max_bitrate is not None else None
        buffer = parse_bit_rate(self.bufsize) if self.bufsize is not None else None
        if self.crf is None and self.bitrate is not None:
            return RateControl(bitrate=self.bitrate, max_bit_rate=cap, buffer_bits=buffer)
        if self.crf is None or "crf" not in self.model_fields_set:
            cap = cap or cap_by_size(self.canvas_px(), self.fps)
        if self.quality is not None:
            return RateControl(quality=quality_vmaf(self.quality), max_bit_rate=cap, buffer_bits=buffer)
        crf = DEFAULT_CRF if self.crf is None else self.crf
        return RateControl(crf=crf, max_bit_rate=cap, buffer_bits=buffer)

    def canvas_px(self) -> tuple[int, int]:
        """Return the frame's width and height in pixels, both even; a proxy's are half the video's."""
        width, height = self.finished_px()
        return (even(width / 2), even(height / 2)) if self.proxy else (width, height)

    def finished_px(self) -> tuple[int, int]:
        """Return the frame size of the finished video in pixels; a proxy's pictures are made for it too."""
        table = {
            "9:16": self.resolutions.portrait,
            "1:1": self.resolutions.square,
            "16:9": self.resolutions.landscape,
            "4:5": self.resolutions.feed,
        }
        return self.size or table[self.default_aspect_ratio]


class Resolutions(Section):
    """The size of each aspect, [width, height]."""

    portrait: Sides = Field((1080, 1920), description="9:16")
    square: Sides = Field((1080, 1080), description="1:1")
    landscape: Sides = Field((1920, 1080), description="16:9")
    feed: Sides = Field((1080, 1350), description="4:5")


class Tts(Section):
    """Narration."""

    service: SpeechServiceChoice = Field("auto", description=f"{SPEECH_SERVICES.summary()}.")
    voice: str = Field(
        "auto",
        min_length=1,
        max_length=200,
        description="Voice of the service; auto: by the story's language. `video-pipeline voices` lists them.",
    )
    speech_rate: float = Field(1.0, ge=0.5, le=2.0, description="1.0 is the voice's own pace.")
    pitch: float = Field(0, ge=-20, le=20, description="Semitones; 0 is the voice's own pitch.")
    lexicon: Lexicon = Field(
        default_factory=dict,
        description="Words, and how they are spoken: another spelling, or IPA between slashes (/ˈnaɪki/). The story's own lexicon wins.",
    )
    dates: Literal["auto", "mdy", "dmy", "ymd"] = Field(
        "auto",
        description="How 12/05/2024 is read: month first, day first or year first; auto: by the region of the story's language, en-US if it names none.",
    )
    speaker_names: bool = Field(
        False, description="Whether the names before what speakers say (`Mary: …`) are spoken."
    )
    fallback_enabled: bool = Field(
        True, description="If speech fails: silence and scenes 1.5 times longer; otherwise an error."
    )
    cache_enabled: bool = Field(True, description="Off: narration is spoken again in each render.")
    cache_ttl: float = Field(2592000, ge=0, description="Seconds cached speech is kept (30 days).")
    fallback: tuple[SpeechServiceName, ...] = Field(
        ("auto",),
        description="Services that speak, in this order, if the one before fails; auto: an offline voice of the language. Then scenes are silent.",
        strict=False,
    )
    timeout: float = Field(60, gt=0, le=600, description="Seconds that one answer of a service may take.")
    max_retries: int = Field(3, ge=0, le=10, description="Retries of a request to a service.")
    parallel_requests: int = Field(4, ge=1, le=32, description="Requests to a service at once in one render.")
    max_characters: int = Field(
        100_000, ge=0, le=100_000_000, description="Characters that one render may pay services for."
    )
    max_characters_per_day: int = Field(
        1_000_000,
        ge=0,
        le=1_000_000_000,
        description="Characters that all renders of one user or node may pay services for in a day (UTC).",
    )
    services: SpeechServiceKeys = Field(
        default_factory=SpeechServiceKeys, description="Settings of each service."
    )


class Scenes(Section):
    """The look of scenes unless the story says otherwise."""

    default_duration: float = Field(
        5.0,
        gt=0,
        le=3600,
        description="Seconds of a scene without narration or footage; longer if its text takes longer to read.",
    )
    transition: TransitionName = Field("fade", description="Transition from a scene to the next.")
    transition_duration: float = Field(0.5, ge=0, le=30, description="Seconds of a transition.")
    transition_on_beat: bool = Field(
        False,
        description="Whether cuts are moved by at most 0.15 s onto the beats of synthesised music (audio.music: auto).",
    )
    fade_duration: float = Field(0.5, gt=0, le=30, description="Seconds of the fade_in and fade_out effects.")
    narration_padding: float = Field(
        0.5, ge=0, le=30, description="Seconds of silence between one scene's words and the next."
    )
    effects: tuple[Literal["fade_in", "fade_out", "ken_burns"], ...] = Field(
        ("ken_burns", "fade_in", "fade_out"),
        description="Effects of a scene that names none. The first scene then has no fade_in, the last no fade_out.",
    )
    text_position: CaptionPosition = Field("bottom", description="Caption position: top, center, bottom.")
    text_size: float = Field(48, ge=8, le=400, description="Caption size in px on a 1080 px wide frame.")
    text_color: Colour = Field("#FFFFFF", description="Caption colour: CSS name, #RRGGBB or #RRGGBBAA.")
    text_font: FontName = Field("Arial-Bold", description="Caption font: family and weight, or a file.")
    text_stroke: StrokeSpec | None = Field(
        StrokeSpec(width=4, colour="#000000C8"), description="Outline of captions, or null."
    )
    text_shadow: ShadowSpec | None = Field(
        ShadowSpec(x=0, y=3, blur=6, colour="#000000A0"), description="Shadow of captions, or null."
    )
    text_box: BoxSpec | None = Field(None, description="Box behind captions, or null.")
    text_animation: CaptionAnimation = Field(
        "fade_in", description="none, fade_in, fade, slide_up, pop or typewriter."
    )
    text_highlight: Colour | None = Field(None, description="Colour of the word being spoken, or null.")
    speakers: dict[SpeakerName, SpeakerSpec] = Field(
        default_factory=dict,
        max_length=SPEAKERS_MAX,
        description="Colour and voice of speakers by name: {Mary: {colour: gold, voice: …}}. The story's own speakers win.",
    )
    speaker_colours: tuple[Colour, ...] = Field(
        SPEAKER_COLOURS,
        max_length=SPEAKERS_MAX,
        description="Caption colours of speakers without one, in the order in which they first speak; []: text_color.",
    )
    max_still_seconds: float | None = Field(
        3.5,
        ge=0,
        le=3600,
        description="Seconds for which one still is shown (at least 0.5): a longer scene gets a drawn picture's second view, or "
        "another part of its picture. 0 or null: none.",
    )
    reframe: Literal["cut", "push"] = Field(
        "cut",
        description="How a longer scene comes to another part of its picture: cut, or push (the camera moves there in 0.6 s).",
    )
    loop: bool = Field(
        False,
        description="Whether the last scene leads back to the first one's picture, so that a repeated video has no seam: no fade "
        "at either end, nor of the music (stories may set `loop`).",
    )
    zoom_rate: float = Field(0.05, ge=0, le=1, description="Ken Burns: zoom per second (0.05 is 5 %).")
    zoom_max: float = Field(1.35, ge=1, le=4, description="Ken Burns: largest zoom.")
    fit: FitName = Field("cover", description="Fit of a picture of another aspect: cover, contain, blur.")


class Captions(Section):
    """How captions are shown. A style brings values for the keys scenes.text_* that are not set."""

    style: CaptionStyleChoice = Field(
        "auto", description=f"{describe_looks()}; auto: phrases in tall frames (9:16), block in others."
    )
    platform: Platform = Field(
        "generic",
        description="Where a tall video is shown: captions keep clear of the buttons and texts of tiktok, reels or "
        "shorts; generic: of all three.",
    )
    subtitle_speakers: bool = Field(True, description="Whether SRT, VTT and ASS name the speakers.")


class WatermarkSettings(Section):
    """A picture over every frame, such as a logo."""

    image: LocalPath | None = Field(
        None,
        description="A picture (as in `image` of a scene) drawn over every frame, or null.",
        strict=False,
    )
    corner: Corner = Field("bottom_right", description="top_left, top_right, bottom_left or bottom_right.")
    opacity: float = Field(0.6, ge=0, le=1, description="0 is invisible, 1 is the picture's own opacity.")
    width: float = Field(0.12, gt=0, le=1, description="Width as a fraction of the frame's width.")
    margin: float = Field(
        0.04, ge=0, le=0.45, description="Distance from the frame's edges as a fraction of its width."
    )


class Audio(MusicKeys):
    """Music, mix and loudness."""

    target_lufs: float = Field(
        -14.0, ge=-40, le=-5, description="Integrated loudness of the video in LUFS (EBU R 128)."
    )
    true_peak: float = Field(-1.0, ge=-9, le=0, description="Highest true peak in dBTP.")
    bitrate: Bitrate = Field("192k", description="AAC bit rate.")


class ErrorHandling(Section):
    """Error policy, fallbacks and logging."""

    policy: PolicyName | None = Field(
        None,
        description=f"{'; '.join(f'{policy.name}: {policy.summary}' for policy in POLICIES.values())}. null: "
        "standard, but lenient in the high-level API.",
    )
    fallback_enabled: bool = Field(
        True, description="Off: a speech or image service that fails or is missing is an error."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = Field(
        "INFO", description="Lowest level that is logged."
    )
    alert_on_failure: bool = Field(
        True,
        description="Log a failed render at level CRITICAL; a node also sends alerts to notifications.alerts.",
    )


Video.model_rebuild()
