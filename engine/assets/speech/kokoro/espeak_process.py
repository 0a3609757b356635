"""The child process that has espeak-ng in it: texts in, phonemes out, one JSON line each.

espeak-ng is under the GPL (version 3 or later), so it runs in a process of its own. Called with the paths of the
library and of its data; ends when its standard input does.
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Final

SYNCHRONOUS: Final = 2  # of enum espeak_AUDIO_OUTPUT: nothing is played
DONT_EXIT: Final = 0x8000
UTF8: Final = 1
IPA_WITH_TIES: Final = 0x02 | 0x80 | ord("͡") << 8


def main(library_path: str, data_path: str) -> None:
    """Answer requests until standard input ends: {"voice": …, "texts": […]} with one list of phoneme strings."""
    library = ctypes.CDLL(library_path)
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    library.espeak_TextToPhonemes.argtypes = (ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.c_int)
    if library.espeak_Initialize(SYNCHRONOUS, 0, data_path.encode(), DONT_EXIT) < 0:
        sys.exit(f"espeak-ng cannot read its data in {data_path}")
    for line in sys.stdin.buffer:
        request = json.loads(line)
        if library.espeak_SetVoiceByName(request["voice"].encode()):
            answer: object = {"error": f"espeak-ng has no language {request['voice']!r}"}
        else:
            answer = [_phonemes(library, text) for text in request["texts"]]
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()


def _phonemes(library: ctypes.CDLL, text: str) -> str:
    rest = ctypes.c_char_p(text.encode())
    clauses = []
    while rest.value is not None:  # the library sets it to null after the last clause
        clauses.append(library.espeak_TextToPhonemes(ctypes.byref(rest), UTF8, IPA_WITH_TIES).decode())
    return " ".join(clause for clause in clauses if clause)


if __name__ == "__main__":
    main(*sys.argv[1:])
