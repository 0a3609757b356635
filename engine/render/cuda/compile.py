"""Compile the CUDA kernels with NVRTC, which needs no driver, and cache the result under its content."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from video_pipeline import native
from video_pipeline.engine.common.cache import ContentCache, DamagedError
from video_pipeline.engine.errors import UnavailableError

KERNELS: Final = ("vp_compose", "vp_rearrange", "vp_blur")

MAIN: Final = "cuda/kernels.cu"
SOURCES: Final = ("cuda/*.cu", "cuda/*.h", "pixel/*.h")
HOST_ONLY: Final = ("cuda/plan.h",)

STDINT: Final = """\
typedef signed char int8_t; typedef short int16_t; typedef int int32_t; typedef long long int64_t;
typedef unsigned char uint8_t; typedef unsigned short uint16_t; typedef unsigned uint32_t;
typedef unsigned long long uint64_t;
"""
"""What the kernels need of <stdint.h>, which NVRTC lacks."""

OPTIONS: Final = ("--std=c++17", "--fmad=false")

ELF: Final = b"\x7fELF"

Capability = tuple[int, int]


def arch_of(capability: Capability) -> str:
    """Return NVRTC's name of a compute capability, such as `sm_89`."""
    return f"sm_{capability[0]}{capability[1]}"


def kernel_sources() -> dict[str, str]:
    """Return the text of the kernels and of all that they include, by the names that they include."""
    folder = Path(native.__file__).parent
    paths = sorted(path for pattern in SOURCES for path in folder.glob(pattern))
    named = {path.relative_to(folder).as_posix(): path for path in paths}
    return {name: path.read_text("utf-8") for name, path in named.items() if name not in HOST_ONLY}


@dataclass(frozen=True, slots=True)
class Compiled:
    """A CUBIN, and what the compiler wrote of registers and spills if it was asked to."""

    cubin: bytes
    log: str


class Compiler:
    """NVRTC. Making one raises UnavailableError if its library or its binding is missing."""

    def __init__(self) -> None:
        try:
            from cuda.bindings import nvrtc
        except ImportError as error:
            raise UnavailableError("the package cuda-bindings is missing") from error
        self._nvrtc: ModuleType = nvrtc
        try:
            self.version: tuple[int, int] = self._call("nvrtcVersion")
        except Exception as error:  # the loader's own errors, by the binding's version
            raise UnavailableError("NVRTC is missing (the package nvidia-cuda-nvrtc-cu12)") from error

    @property
    def name(self) -> str:
        """The compiler and its version."""
        return f"NVRTC {self.version[0]}.{self.version[1]}"

    def _call(self, name: str, *arguments: Any) -> Any:
        status, *values = getattr(self._nvrtc, name)(*arguments)
        if int(status) != 0:
            raise UnavailableError(f"{self.name}: {name}: {status.name}")
        return values[0] if len(values) == 1 else tuple(values)

    def capabilities(self) -> tuple[Capability, ...]:
        """Return the compute capabilities that this NVRTC compiles for, in order."""
        return tuple(divmod(number, 10) for number in self._call("nvrtcGetSupportedArchs"))

    def check(self, capability: Capability) -> None:
        """Raise UnavailableError if NVRTC cannot compile for a compute capability."""
        known = self.capabilities()
        if capability in known:
            return
        raise UnavailableError(
            f"{self.name} does not know its compute capability {capability[0]}.{capability[1]}; "
            f"it knows {known[0][0]}.{known[0][1]} to {known[-1][0]}.{known[-1][1]}"
        )

    def compile(
        self, capability: Capability, *, sources: Mapping[str, str] | None = None, verbose: bool = False
    ) -> Compiled:
        """Compile the kernels; raise UnavailableError with the compiler's first line if that fails."""
        more = ["--ptxas-options=-v"] if verbose else []
        return Compiled(*self._compiled(arch_of(capability), sources, more, "CUBIN"))

    def ptx(self, capability: Capability) -> str:
        """Return the kernels as PTX, the text from which a CUBIN is made; raise UnavailableError as `compile`."""
        arch = arch_of(capability).replace("sm_", "compute_")
        return self._compiled(arch, None, [], "PTX")[0].decode().rstrip("\0")

    def _compiled(
        self, arch: str, sources: Mapping[str, str] | None, more: Sequence[str], form: str
    ) -> tuple[bytes, str]:
        """Return the kernels in a form of NVRTC's, and what it wrote."""
        texts = kernel_sources() if sources is None else sources
        headers = {"stdint.h": STDINT, **{name: text for name, text in texts.items() if name != MAIN}}
        program = self._call(
            "nvrtcCreateProgram",
            texts[MAIN].encode(),
            MAIN.encode(),
            len(headers),
            [text.encode() for text in headers.values()],
            [name.encode() for name in headers],
        )
        try:
            options = [f"--gpu-architecture={arch}", *OPTIONS, *more]
            (status,) = self._nvrtc.nvrtcCompileProgram(
                program, len(options), [option.encode() for option in options]
            )
            log = self._text("nvrtcGetProgramLogSize", "nvrtcGetProgramLog", program).decode(
                "utf-8", "replace"
            )
            log = log.rstrip("\0")
            if int(status) != 0:
                first = next((line for line in log.splitlines() if "error" in line), status.name)
                raise UnavailableError(f"{self.name} could not compile the kernels: {first.strip()}")
            return self._text(f"nvrtcGet{form}Size", f"nvrtcGet{form}", program), log
        finally:
            self._nvrtc.nvrtcDestroyProgram(program)

    def _text(self, size: str, read: str, program: Any) -> bytes:
        data = bytes(self._call(size, program))
        self._call(read, program, data)
        return data


def _check_cubin(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(len(ELF)) != ELF:
            raise DamagedError("it is no CUBIN")


def cached_cubin(compiler: Compiler, capability: Capability, cache: ContentCache) -> bytes:
    """Return the kernels for a compute capability, from the cache if possible; raise UnavailableError."""
    sources = kernel_sources()
    parts = {
        "sources": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in sources.items()},
        "headers": STDINT,
        "arch": arch_of(capability),
        "compiler": compiler.name,
        "options": OPTIONS,
    }

    def make(path: Path) -> None:
        compiler.check(capability)
        path.write_bytes(compiler.compile(capability, sources=sources).cubin)

    path, _ = cache.get_or_make("kernels", parts, ".cubin", make, check=_check_cubin)
    return path.read_bytes()
