"""How encoder sessions are spread over GPUs, and how refused ones wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack

import pytest

from tests.support.waiting import FAST_SECONDS
from video_pipeline.engine.errors import EncoderError
from video_pipeline.engine.machine.cuda_devices import CudaDevice
from video_pipeline.engine.machine.gpu_load import GpuLoad
from video_pipeline.engine.render.encoders.sessions import SessionReport, Sessions


def gpu(index: int, name: str = "NVIDIA A40", engines: int | None = 1) -> CudaDevice:
    return CudaDevice(index, name, f"GPU-{index}", "580.00", engines)


def load(index: int, *, sessions: int = 0, encoder: float = 0.0) -> GpuLoad:
    return GpuLoad(index, f"GPU-{index}", "NVIDIA A40", 0.0, encoder, sessions, 0, 1)


def opened(devices: Sequence[CudaDevice], loads: Sequence[GpuLoad], count: int) -> list[int]:
    """Return the GPUs of sessions that are opened one after another and stay open."""
    sessions = Sessions(loads=lambda: loads)
    sessions.use(devices)
    with ExitStack() as held:
        return [held.enter_context(sessions.session(devices[0].model)).index for _ in range(count)]


def test_sessions_go_where_the_fewest_are_also_those_of_other_programs() -> None:
    two = [gpu(0), gpu(1)]
    assert opened(two, [load(0, sessions=2), load(1)], 2) == [1, 1]
    assert sorted(opened(two, [], 4)) == [0, 0, 1, 1]


def test_of_gpus_with_as_many_sessions_the_one_whose_encoders_do_less_is_taken() -> None:
    two = [gpu(0), gpu(1)]
    assert opened(two, [load(0, encoder=0.9), load(1, encoder=0.1)], 1) == [1]
    assert opened(two, [load(0, encoder=0.1), load(1, encoder=0.9)], 1) == [0]


def test_every_engine_of_a_gpu_counts_and_three_where_nvenc_does_not_say() -> None:
    sessions = Sessions(loads=list)
    two = [gpu(0, "NVIDIA L4", 2), gpu(1, "NVIDIA L4", 1)]
    sessions.use([*two, gpu(2, "NVIDIA T4", 1), gpu(3, "NVIDIA of tomorrow", None)])
    assert sessions.engines(two[0].model) == 3
    assert sessions.engines(gpu(3, "NVIDIA of tomorrow").model) == 3
    assert sorted(opened(two, [], 6)) == [0, 0, 0, 0, 1, 1]
    # What NVENC has said once holds, also if a later trial could not ask.
    sessions.use([gpu(0, "NVIDIA L4", None)])
    assert sessions.engines(two[0].model) == 3


def test_a_lost_gpu_gets_no_session_until_a_trial_succeeds_on_it() -> None:
    sessions = Sessions(loads=list)
    sessions.use([gpu(0), gpu(1)])
    sessions.lose(gpu(0), "gone")
    with sessions.session(gpu(0).model) as taken, sessions.session(gpu(0).model) as other:
        assert (taken.index, other.index) == (1, 1)
    sessions.lose(gpu(1), "gone too", log=["a line of FFmpeg"])
    with pytest.raises(EncoderError, match="no GPU is left: GPU 0: gone; GPU 1: gone too") as caught:
        sessions.session(gpu(0).model).__enter__()
    assert caught.value.machine
    assert caught.value.log == ["a line of FFmpeg"]
    sessions.use([gpu(0)])
    assert sessions.usable(gpu(0).model) == [gpu(0)]


def test_where_the_driver_has_refused_one_the_next_waits_for_a_session_to_end() -> None:
    sessions = Sessions(loads=list)
    sessions.use([gpu(0)])
    model = gpu(0).model
    order: list[str] = []

    def third() -> None:
        with sessions.session(model):
            order.append("third")

    with sessions.session(model):
        with sessions.session(model):
            sessions.refuse(gpu(0))
            assert sessions.held(model)
        with ExitStack() as second:
            # One is allowed, and one is open.
            waiting = threading.Thread(target=third)
            waiting.start()
            waiting.join(0.3)
            order.append("first ends")
            second.close()
    waiting.join(FAST_SECONDS)
    assert order == ["first ends", "third"]
    assert not sessions.held(model)


def test_a_process_has_no_more_sessions_open_than_it_was_granted_over_all_gpus() -> None:
    sessions = Sessions(loads=list)
    sessions.use([gpu(0), gpu(1)])
    sessions.limit(2)
    model = gpu(0).model
    lock, open_now, most, two = threading.Lock(), 0, 0, threading.Event()

    def segment() -> None:
        nonlocal open_now, most
        with sessions.session(model):
            with lock:
                open_now += 1
                most = max(most, open_now)
                if open_now == 2:
                    two.set()
            two.wait(FAST_SECONDS)
            time.sleep(0.02)  # a third one would come meanwhile
            with lock:
                open_now -= 1

    threads = [threading.Thread(target=segment) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * FAST_SECONDS)
    assert not any(thread.is_alive() for thread in threads)
    assert (most, sessions.granted) == (2, 2)
    with pytest.raises(ValueError, match="sessions: got 0; allowed: at least 1"):
        sessions.limit(0)


def test_who_has_waited_for_a_granted_session_gets_it_where_the_load_is_least_then() -> None:
    now = [load(0, encoder=0.9), load(1, sessions=1)]
    sessions = Sessions(loads=lambda: now)
    sessions.use([gpu(0), gpu(1)])
    sessions.limit(1)
    taken: list[int] = []

    def second() -> None:
        with sessions.session(gpu(0).model) as device:
            taken.append(device.index)

    with sessions.session(gpu(0).model) as first:
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.2)
        assert (first.index, taken) == (0, [])
        now[:] = [load(0, sessions=1), load(1)]  # other programs' sessions have ended and begun
    waiting.join(FAST_SECONDS)
    assert taken == [1]


def test_who_waits_for_a_granted_session_is_told_that_the_gpus_are_lost() -> None:
    sessions = Sessions(loads=list)
    sessions.use([gpu(0)])
    sessions.limit(1)
    failures: list[EncoderError] = []

    def second() -> None:
        try:
            sessions.session(gpu(0).model).__enter__()
        except EncoderError as error:
            failures.append(error)

    with sessions.session(gpu(0).model):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        sessions.lose(gpu(0), "gone")
        waiting.join(FAST_SECONDS)
    assert "GPU 0: gone" in str(failures[0])


def test_the_report_of_a_render_adds_up_over_threads() -> None:
    report = SessionReport()
    threads = [threading.Thread(target=lambda: report.count(refused=1, gpu=1)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report.count(waited_seconds=0.5)
    report.lose(0, "gone")
    report.lose(0, "gone as before")
    assert report.as_dict() == {
        "refused": 20,
        "waited_seconds": 0.5,
        "by_gpu": {"1": 20},
        "lost_gpus": {"0": "gone"},
    }
