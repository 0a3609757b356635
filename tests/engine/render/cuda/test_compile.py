"""NVRTC compiles the kernels for every GPU from Turing on; no driver is needed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.errors import UnavailableError
from video_pipeline.engine.render.cuda.compile import (
    ELF,
    KERNELS,
    MAIN,
    Capability,
    Compiled,
    Compiler,
    cached_cubin,
    kernel_sources,
)

TURING: Capability = (7, 5)
CAPABILITIES: tuple[Capability, ...] = (TURING, (8, 0), (8, 6), (8, 9), (9, 0), (10, 0), (12, 0))


@pytest.fixture(scope="module")
def compiler() -> Compiler:
    """NVRTC; skipped without its wheel."""
    try:
        return Compiler()
    except UnavailableError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"{error}: pip install nvidia-cuda-nvrtc-cu12 'cuda-bindings<13'")


@pytest.fixture(scope="module")
def for_turing(compiler: Compiler) -> Compiled:
    """The kernels for the oldest GPU."""
    return compiler.compile(TURING)


def test_the_kernels_compile_without_a_warning_for_every_gpu_from_turing_on(
    compiler: Compiler, for_turing: Compiled
) -> None:
    """Their text is one for all GPUs, and a GPU can do what an older one can: the oldest and the newest are tried."""
    assert not any("__CUDA_ARCH" in text for text in kernel_sources().values())
    for each in (for_turing, compiler.compile(CAPABILITIES[-1])):
        assert each.cubin.startswith(ELF)
        assert each.log == ""
        for kernel in KERNELS:
            assert f".text.{kernel}".encode() in each.cubin
    for capability in CAPABILITIES:
        compiler.check(capability)


def test_a_cubin_is_compiled_once_for_its_content(
    compiler: Compiler, for_turing: Compiled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Capability] = []

    def counted(capability: Capability, **options: object) -> Compiled:
        made.append(capability)
        return for_turing

    monkeypatch.setattr(compiler, "compile", counted)
    cache = ContentCache(tmp_path)
    assert cached_cubin(compiler, TURING, cache) == for_turing.cubin
    assert cached_cubin(compiler, TURING, cache) == for_turing.cubin
    assert made == [TURING]
    (file,) = tmp_path.glob("kernels/*/*.cubin")
    file.write_bytes(b"damaged")
    assert cached_cubin(compiler, TURING, cache) == for_turing.cubin
    assert made == [TURING] * 2


def test_the_cache_tells_sources_gpus_and_compilers_apart(
    compiler: Compiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ContentCache(tmp_path)
    monkeypatch.setattr(
        compiler, "compile", lambda capability, **options: Compiled(ELF + repr(options).encode(), "")
    )
    changes: list[Callable[[], object]] = [
        lambda: None,
        lambda: monkeypatch.setattr(compiler, "version", (12, 10)),
        lambda: monkeypatch.setattr(
            "video_pipeline.engine.render.cuda.compile.kernel_sources",
            lambda: {**kernel_sources(), "pixel/blend.h": "other"},
        ),
    ]
    for number, change in enumerate(changes, 1):
        change()
        cached_cubin(compiler, (8, 9), cache)
        cached_cubin(compiler, (9, 0), cache)
        assert len(list(tmp_path.glob("kernels/*/*.cubin"))) == 2 * number


def test_sources_hold_all_that_the_kernels_include() -> None:
    sources = kernel_sources()
    for text in sources.values():
        for line in text.splitlines():
            if line.startswith('#include "'):
                assert line.split('"')[1] in sources
    assert MAIN in sources
    assert "cuda/plan.h" not in sources


def test_what_does_not_compile_is_told_in_one_line(compiler: Compiler) -> None:
    broken = {**kernel_sources(), MAIN: 'extern "C" __global__ void vp_compose() { nonsense; }\n'}
    with pytest.raises(UnavailableError) as raised:
        compiler.compile((8, 9), sources=broken)
    assert "could not compile the kernels" in str(raised.value)
    assert "nonsense" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_capability_that_the_compiler_does_not_know_is_refused(compiler: Compiler) -> None:
    with pytest.raises(UnavailableError, match=r"does not know its compute capability 99\.0; it knows \d"):
        compiler.check((99, 0))
