"""The kernels' PTX, run on the processor: it draws the native rows' bytes, and what it executes is counted."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from benchmarks import gpu_kernels
from benchmarks.gpu_estimate import Counted, Sheet, bounds_ms, counted
from benchmarks.ptx import PtxKernels, build, translate
from video_pipeline import native
from video_pipeline.engine.render.cuda.compile import Capability, Compiler

pytestmark = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None,
    reason="PTX is translated to C++, and there is no compiler",
)

LOOP = """
.visible .entry sum(
	.param .u64 sum_param_0
)
{
	.reg .pred 	%p<3>;
	.reg .b16 	%rs<3>;
	.reg .b32 	%r<9>;
	.reg .b64 	%rd<6>;
	.shared .align 4 .b8 parts[1024];

	ld.param.u64 	%rd1, [sum_param_0];
	cvta.to.global.u64 	%rd2, %rd1;
	mov.u32 	%r1, %tid.x;
	mov.u64 	%rd3, parts;
	mul.wide.u32 	%rd4, %r1, 4;
	add.s64 	%rd5, %rd3, %rd4;
	mov.u32 	%r2, 0;
	mov.u32 	%r3, 0;
	setp.ge.u32 	%p1, %r2, %r1;
	@%p1 bra 	$L__BB0_2;

$L__BB0_1:
	add.s32 	%r2, %r2, 1;
	add.s32 	%r3, %r3, %r2;
	setp.lt.u32 	%p1, %r2, %r1;
	@%p1 bra 	$L__BB0_1;

$L__BB0_2:
	st.shared.u32 	[%rd5], %r3;
	bar.sync 	0;
	setp.ne.s32 	%p2, %r1, 0;
	@%p2 bra 	$L__BB0_3;
	ld.shared.u32 	%r4, [%rd3+1020];
	mul.hi.s32 	%r5, %r4, -65536;
	shr.s32 	%r6, %r5, 31;
	cvt.u16.u32 	%rs1, %r4;
	shl.b16 	%rs2, %rs1, 3;
	{ .reg .b16 tmp; mov.b32 {tmp, %rs1}, %r5; }
	st.global.u32 	[%rd2], %r4;
	st.global.u32 	[%rd2+4], %r6;
	st.global.u16 	[%rd2+8], %rs2;
	st.global.u16 	[%rd2+10], %rs1;

$L__BB0_3:
	ret;

}
"""


def test_a_loop_is_counted_by_the_thread_of_each_warp_that_runs_it_most(tmp_path: Path) -> None:
    kernels = translate(LOOP)
    library = PtxKernels(kernels, build(kernels, tmp_path, optimise="-O0"))
    out = np.zeros(3, np.uint32)
    library.launch("sum", (1, 1, 1), out.ctypes.data)
    total = sum(range(256))
    # The last thread's sum, seen by the first after the barrier; the rest by hand.
    high = (total * -65536) >> 32
    assert out[:2].tolist() == [total, 0xFFFFFFFF]
    assert out.view(np.uint16)[4:].tolist() == [(total << 3) & 0xFFFF, (high >> 16) & 0xFFFF]
    executed = library.take("sum")
    warps, turns = 8, sum(range(31, 256, 32))  # of the last thread of each warp
    assert executed.warp_instructions == {
        "integer": warps * (6 + 1 + 1) + 3 * turns + 5,
        "global_load": 0,
        "global_store": 4,
        "shared": warps + 1,
        "local": 0,
        "control": warps * (1 + 1 + 1 + 1) + turns,
    }
    assert (executed.load_bytes, executed.store_bytes) == (0, 12)
    assert library.take("sum").warp_instructions["integer"] == 0  # each count is taken once


@pytest.mark.parametrize(
    "line", ["	sin.approx.f32 	%f1, %f2;", "	{ .reg .b16 tmp; mov.b32 %r1, %r2; }"]
)
def test_what_is_not_known_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="is not known here"):
        translate(LOOP.replace("	bar.sync 	0;", line))


@pytest.mark.skipif(
    not native.available() or find_spec("cuda") is None or find_spec("nvidia") is None,
    reason="the native extension, cuda-bindings or nvidia-cuda-nvrtc-cu12 is missing",
)
@pytest.mark.parametrize("capability", [(9, 0), (10, 0)], ids=["sm_90", "sm_100"])
def test_what_nvrtc_makes_of_the_kernels_draws_the_native_rows_bytes(
    capability: Capability, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every transition under a caption, and stills of every number of taps; NVRTC has two compilers, one from sm_100 on."""
    from video_pipeline.native import kernels as rows

    monkeypatch.setattr(gpu_kernels, "SIZE_PX", (134, 50))
    monkeypatch.setattr(gpu_kernels, "CAPTION_PX", (60, 20))
    monkeypatch.setattr("benchmarks.gpu_estimate.SIZE_PX", (134, 50))
    kernels = translate(Compiler().ptx(capability))
    library = PtxKernels(kernels, build(kernels, tmp_path, optimise="-O0"))
    frames = [gpu_kernels.workload_frames(step)[0] for step in gpu_kernels.STEPS]
    frames += [
        gpu_kernels.workload_frames(1.08 + number / 100, name)[number % 16]
        for number, (name, _) in enumerate(rows.transition_records())
    ]
    placed = [
        frame._replace(layers=tuple(layer._replace(x=31, y=14, opacity=0.7) for layer in frame.layers))
        for frame in frames
    ]
    executed: set[str] = set()
    for start in range(0, len(placed), 8):
        executed |= set(counted(library, placed[start : start + 8]))  # which compares the bytes
    assert executed == {"vp_compose", "vp_rearrange", "vp_blur"}


def test_a_bound_is_the_work_over_what_a_gpu_does_in_a_millisecond() -> None:
    kinds = {
        "integer": 600.0,
        "global_load": 100.0,
        "global_store": 50.0,
        "shared": 50.0,
        "local": 0.0,
        "control": 200.0,
    }
    sheet = Sheet("one", (9, 0), 10, 1.0, 1000.0)
    found = bounds_ms({"k": Counted(kinds, 0, 0)}, {"k": 2.0}, sheet, 3_000_000)
    clocks = 10 * 1e6
    assert found == pytest.approx(
        {
            "issue": 2 * 1000 / 4 / clocks,
            "integer": 2 * 600 / 2 / clocks,  # 64 lanes take half a clock for a warp
            "load/store": 200 / clocks,
            "memory": 0.003,
        }
    )


def test_the_kept_estimate_says_that_it_is_one() -> None:
    results = Path(__file__).resolve().parents[2] / "benchmarks" / "results"
    assert "estimate" in (results / "gpu-estimate.md").read_text(encoding="utf-8").splitlines()[0].lower()
    assert "**An estimate: nothing was measured on a GPU.**" in (results / "gpu-estimate.md").read_text()
