"""Which service a voice belongs to, by the form of its name, so that one of another service is recognised offline."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from video_pipeline.engine.assets.speech.service import AUTO
from video_pipeline.engine.common.similar import closest
from video_pipeline.engine.config.sections import Tts
from video_pipeline.engine.errors import ConfigError

_LOCALE: Final = r"[a-z]{2,3}-(?:[A-Z][a-z]{3}-)?[A-Z0-9]{2,3}"

_POLLY: Final = (
    "Aditi|Adriano|Ambre|Amy|Andres|Aria|Arjun|Arlet|Arthur|Astrid|Ayanda|Beatrice|Bianca|Brian|"
    "Burcu|Camila|Carla|Carlos|Carmen|Carolina|Celine|Chantal|Conchita|Cristiano|Curtis|Daniel|"
    "Danielle|Dora|Elin|Emma|Enrique|Ewa|Filiz|Florian|Gabrielle|Geraint|Giorgio|Gregory|Gwyneth|"
    "Hala|Hannah|Hans|Hiujin|Hyunduk|Ida|Ines|Isabelle|Ivy|Jacek|Jan|Jasmine|Jihye|Jitka|Joanna|Joey|"
    "Justin|Kajal|Karl|Kazuha|Kendra|Kenneth|Kevin|Kiara|Kimberly|Laura|Lea|Lennart|Leo|Liam|Lisa|"
    "Liv|Lorenzo|Lotte|Lucia|Lupe|Mads|Maja|Marlene|Mathieu|Matthew|Maxim|Mia|Miguel|Mizuki|Naja|"
    "Nate|Niamh|Nicole|Ola|Olivia|Pedro|Penelope|Raveena|Remi|Ricardo|Ruben|Russell|Ruth|Sabrina|"
    "Salli|Seoyeon|Sergio|Sofie|Stephen|Suvi|Takumi|Tatyana|Thiago|Tiffany|Tina|Tomoko|Vicki|Vitoria|"
    "Zayd|Zeina|Zhiyu"
)
"""Amazon's own list of voices (botocore 1.40 and newer). A newer voice has no form, and then Polly decides."""

VOICE_FORMS: Final[Mapping[str, re.Pattern[str]]] = {
    "google_tts": re.compile(
        rf"{_LOCALE}-(?:Standard|Wavenet|Neural2|Studio|Polyglot|News|Casual|Journey|Chirp3?(?:-HD)?)-\w+"
    ),
    "azure_speech": re.compile(rf"{_LOCALE}(?:-[a-z]+)?-\w+?(?:Neural|NeuralHD|MultilingualNeural)(?::\w+)?"),
    "amazon_polly": re.compile(_POLLY),
    "piper": re.compile(r"[a-z]{2,3}_[A-Z]{2}-\w+-(?:x_low|low|medium|high)"),
    "openai_compatible": re.compile(
        r"alloy|ash|ballad|cedar|coral|echo|fable|marin|nova|onyx|sage|shimmer|verse|[abefhijpz][fm]_[a-z]+"
    ),
    "hibari": re.compile(r"heart"),
    "kokoro": re.compile(r"[efhijpz][fm]_[a-z]+"),
}
"""The form of each service's names of voices. A service may have others: a name of no form belongs to any.

Several services may have the same names: Kokoro's are those of its servers and of its model.
"""


def services_of_voice(voice: str) -> tuple[str, ...]:
    """Return the services whose form a voice's name has."""
    return tuple(name for name, form in VOICE_FORMS.items() if form.fullmatch(voice))


def voice_for(settings: Tts, service: str) -> str:
    """Return the voice that a service is to speak with, or "" for its own choice by language.

    `tts.voice` is the voice of `tts.service`, and of another one if its name has that service's form; otherwise
    `tts.services.NAME.voice` is. Raises ConfigError for a `tts.voice` that belongs to another service.
    """
    own = getattr(getattr(settings.services, service, None), "voice", None) or ""
    given = settings.voice if settings.voice != AUTO else ""
    owners = services_of_voice(given) if given else ()
    if service != settings.service:
        return given if service in owners and not own else own
    if owners and service not in owners:
        raise ConfigError(
            f"tts.voice: got {given!r}, a voice of {' and '.join(owners)}; tts.service is {service!r}: name one of its voices, "
            "or auto"
        )
    return given or own


def unknown_voice(voice: str, service: str, voices: tuple[str, ...], *, language: str) -> ConfigError:
    """Return the error for a voice that a service does not have; it lists those of the language first."""
    begins = (f"{language}-", f"{language}_")
    near = [name for name in voices if name.lower().startswith(begins)] or list(voices)
    more = f", … ({len(voices)} in all)" if len(near) > 40 or len(near) < len(voices) else ""
    return ConfigError(
        f"tts.voice: got {voice!r}{closest(voice, voices)}; allowed for {service}: {', '.join(near[:40])}{more}"
    )
