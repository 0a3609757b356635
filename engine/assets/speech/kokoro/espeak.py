"""Phonemes by espeak-ng, which runs in a process of its own."""

from __future__ import annotations

import atexit
import contextlib
import json
import re
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from functools import cache
from typing import Final

from video_pipeline.engine.assets.speech.kokoro.voices import package_folder
from video_pipeline.engine.common.extras import the_extra
from video_pipeline.engine.errors import TTSError

PROGRAM: Final = "video_pipeline.engine.assets.speech.kokoro.espeak_process"

LIBRARY_NAMES: Final = {"darwin": "libespeak-ng.dylib", "win32": "espeak-ng.dll"}

_LANGUAGE_SWITCH: Final = re.compile(r"\([a-z-]+\)")
_TIE: Final = "͡"
_KOKORO_SIGNS: Final = {
    f"a{_TIE}ɪ": "I",
    f"a{_TIE}ʊ": "W",
    f"d{_TIE}z": "ʣ",
    f"d{_TIE}ʒ": "ʤ",
    f"e{_TIE}ɪ": "A",
    f"o{_TIE}ʊ": "O",
    f"ə{_TIE}ʊ": "Q",
    f"s{_TIE}s": "S",
    f"t{_TIE}s": "ʦ",
    f"t{_TIE}ʃ": "ʧ",
    f"ɔ{_TIE}ɪ": "Y",
}
"""Two sounds that Kokoro writes with one sign (misaki's EspeakG2P)."""


class EspeakError(TTSError):
    """espeak-ng cannot be started or does not answer."""


class Espeak:
    """A child process with espeak-ng. It is started again once if it has ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def phonemes(self, texts: Sequence[str], *, language: str) -> list[str]:
        """Return the phonemes of texts in a language, by espeak-ng's name for it, in Kokoro's signs; raise EspeakError."""
        request = json.dumps({"voice": language, "texts": list(texts)}).encode() + b"\n"
        with self._lock:
            line = self._ask(request) or self._ask(request)
        if not line:
            raise EspeakError("espeak-ng ended without an answer")
        answer = json.loads(line)
        if isinstance(answer, dict):
            raise EspeakError(answer["error"])
        return [in_kokoro_signs(phonemes) for phonemes in answer]

    def _ask(self, request: bytes) -> bytes:
        """Return the answer's line, or nothing if the process has ended."""
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._process is None:
            self._process = _started()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(request)
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:
            line = b""
        if not line.endswith(b"\n"):
            self.close()
            return b""
        return line

    def close(self) -> None:
        """End the process."""
        if self._process is None:
            return
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()
        self._process.kill()
        self._process.wait()
        self._process = None


def _started() -> subprocess.Popen[bytes]:
    folder = package_folder("espeakng-loader")
    if folder is None:
        raise EspeakError(
            f"the package espeakng-loader is not installed; it comes with {the_extra('voices')}"
        )
    library = folder / LIBRARY_NAMES.get(sys.platform, "libespeak-ng.so")
    command = [sys.executable, "-m", PROGRAM, str(library), str(folder / "espeak-ng-data")]
    try:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    except OSError as error:
        raise EspeakError(f"espeak-ng cannot be started: {error.strerror}") from error


@cache
def open_espeak() -> Espeak:
    """Return the process of this program; it is started when it is first asked, and ends with this program."""
    espeak = Espeak()
    atexit.register(espeak.close)
    return espeak


def in_kokoro_signs(phonemes: str) -> str:
    """Return phonemes of espeak-ng, or IPA, in the signs that Kokoro knows."""
    phonemes = unicodedata.normalize("NFD", _LANGUAGE_SWITCH.sub("", phonemes)).replace("c\u0327", "ç")
    for two, one in _KOKORO_SIGNS.items():
        phonemes = phonemes.replace(two, one)
    return phonemes.replace(_TIE, "").replace("-", "").replace("g", "ɡ")


def divided_phonemes(joint: str, alone: Sequence[str]) -> list[str]:
    """Divide the phonemes of a clause among its words, by what each word sounds like alone.

    Each word of `joint` ends with a blank. espeak-ng joins some words (`de la`) and divides others, so they may differ
    in number. The pieces, joined, are `joint`.
    """
    pieces = joint.split(" ")[:-1]
    if len(pieces) == len(alone):
        return [f"{piece} " for piece in pieces]
    return list(_cut_alike(joint, alone))


def _cut_alike(joint: str, alone: Sequence[str]) -> Iterator[str]:
    words = "".join(f"{word} " for word in alone)
    places = [0] * (len(words) + 1)
    for _, start, stop, first, last in SequenceMatcher(None, words, joint, autojunk=False).get_opcodes():
        for at in range(start, stop + 1):
            places[at] = first + (at - start) * (last - first) // max(1, stop - start)
    at = reached = 0
    for index, word in enumerate(alone):
        reached += len(word) + 1
        until = len(joint) if index == len(alone) - 1 else max(at, places[reached])
        yield joint[at:until]
        at = until
