"""NVML, the driver's library of figures, asked with a bound: a broken driver does not answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, Final, TypeVar

from video_pipeline.engine.common.extras import install_extra

T = TypeVar("T")

NVML_SECONDS: Final = 10.0
"""Time for NVML to answer."""


class NvmlError(Exception):
    """NVML does not answer here; the message says why."""


_unanswered: set[Future[Any]] = set()
"""The questions on which threads wait. While there is one, no other is asked."""


def ask_nvml(question: Callable[[Any], T], *, seconds: float = NVML_SECONDS) -> T:
    """Return what `question` returns, which is called with the initialised module `pynvml`; raise NvmlError."""
    waiting = {future for future in tuple(_unanswered) if not future.done()}
    if not waiting:
        future: Future[T] = Future()
        threading.Thread(target=_answer, args=(question, future), name="nvml", daemon=True).start()
        if wait([future], timeout=seconds).done:
            return future.result()
        waiting = {future}
    _unanswered.clear()
    _unanswered.update(waiting)
    raise NvmlError(f"NVML does not answer (waited {seconds:g} s)")


def _answer(question: Callable[[Any], T], future: Future[T]) -> None:
    """Set a future to the answer, or to the error that says why there is none."""
    try:
        future.set_result(_ask(question))
    except Exception as error:
        future.set_exception(error)


def _ask(question: Callable[[Any], T]) -> T:
    try:
        import pynvml
    except ImportError as error:
        raise NvmlError(f"not looked for; if there is an NVIDIA GPU: {install_extra('cuda')}") from error
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise NvmlError(
            f"no NVIDIA driver answers ({error}); without an NVIDIA GPU none is needed"
        ) from error
    try:
        try:
            return question(pynvml)
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError as error:
        raise NvmlError(f"NVML: {error}") from error
