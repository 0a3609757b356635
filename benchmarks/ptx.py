"""Run the kernels' PTX on the processor and count what each warp executes, where no GPU is at hand.

PTX is what NVRTC makes of the kernels before it chooses a GPU's own instructions. Each kernel is translated to C++, one
statement for an instruction, and run with all threads of its blocks; a barrier ends a thread's turn. A warp executes a
basic block as often as that one of its threads that executes it most.
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

WARP_THREADS: Final = 32
BLOCK_THREADS: Final = 256

TYPES: Final = {
    f"{kind}{bits}": f"{'' if kind == 's' else 'u'}int{bits}_t" for kind in "sub" for bits in (8, 16, 32, 64)
} | {"pred": "bool"}
REGISTERS: Final = {"p": "bool", "rs": "uint16_t", "r": "uint32_t", "rd": "uint64_t"}
COMPARE: Final = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
PLACES: Final = {
    "%tid.x": "thread",
    "%ntid.x": f"{BLOCK_THREADS}u",
    "%ctaid.x": "place.x",
    "%ctaid.y": "place.y",
    "%ctaid.z": "place.z",
}
SPACES: Final = ("global", "shared", "local", "param")

HALF: Final = re.compile(r"\{ \.reg \.b\d+ tmp; mov\.b(\d+) \{(\S+), (\S+)\}, (\S+); \}")

KINDS: Final = ("integer", "global_load", "global_store", "shared", "local", "control")
"""Kinds of instructions. Shared and local memory, as global memory, are the load and store unit's."""

HEADER: Final = """#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>
struct Place { uint32_t x, y, z; };
template <class T> T at(uint64_t address) { T value; memcpy(&value, reinterpret_cast<void*>(address), sizeof value); return value; }
template <class T> void put(uint64_t address, T value) { memcpy(reinterpret_cast<void*>(address), &value, sizeof value); }
template <class T> T left(T a, uint32_t b) { return b >= 8 * sizeof a ? 0 : static_cast<T>(a << b); }
template <class T> T right(T a, uint32_t b) { return static_cast<T>(a >> std::min<uint32_t>(b, 8 * sizeof a - 1) >> (b >= 8 * sizeof a && T(-1) > 0 ? 1 : 0)); }
"""

RUN: Final = """
extern "C" uint64_t counts_%(name)s[%(blocks)d], threads_%(name)s[%(blocks)d];
uint64_t counts_%(name)s[%(blocks)d], threads_%(name)s[%(blocks)d];
extern "C" void launch_%(name)s(unsigned x, unsigned y, unsigned z, const void* argument) {
  constexpr int kThreads = %(threads)d, kWarp = %(warp)d, kBlocks = %(blocks)d;
  std::vector<uint8_t> shared(%(shared)d + 16);
  std::vector<%(name)s_thread> threads(kThreads);
  for (Place place{0, 0, 0}; place.z < z; place.z++)
    for (place.y = 0; place.y < y; place.y++)
      for (place.x = 0; place.x < x; place.x++) {
        for (auto& thread : threads) memset(&thread.begin, 0, sizeof thread - offsetof(%(name)s_thread, begin));
        for (bool going = true; going;) {
          going = false;
          for (int i = 0; i < kThreads; i++)
            if (threads[i].resume >= 0)
              going |= (threads[i].resume = %(name)s(threads[i], i, place, shared.data(), argument)) >= 0;
        }
        for (int warp = 0; warp < kThreads; warp += kWarp)
          for (int block = 0; block < kBlocks; block++) {
            uint32_t most = 0;
            for (int i = warp; i < warp + kWarp; i++) {
              most = std::max(most, threads[i].counts[block]);
              threads_%(name)s[block] += threads[i].counts[block];
            }
            counts_%(name)s[block] += most;
          }
      }
}
"""


@dataclass(slots=True)
class Block:
    """What a basic block executes: instructions of each kind, and bytes of global memory that a thread moves."""

    kinds: Counter[str] = field(default_factory=Counter)
    load_bytes: int = 0
    store_bytes: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """A kernel's translation: its C++, and its basic blocks."""

    name: str
    text: str
    blocks: tuple[Block, ...]

    @property
    def instructions(self) -> int:
        """The number of its instructions, of all branches together."""
        return sum(block.kinds.total() for block in self.blocks)


@dataclass(frozen=True, slots=True)
class Executed:
    """What the warps of a kernel have executed, by kind, and the bytes of global memory that its threads asked for."""

    warp_instructions: dict[str, int]
    load_bytes: int
    store_bytes: int


class _Translation:
    def __init__(self, name: str, body: str) -> None:
        self.name = name
        self._body = body
        self._shared: dict[str, int] = {}
        self._shared_bytes = 0
        self.blocks = [Block()]
        self._lines: list[str] = []
        self._resumes = 0

    def run(self) -> Kernel:
        registers, local = ["  uint64_t SP, SPL;"], 8
        for kind, count in re.findall(r"\.reg \.\w+\s+%(\w+)<(\d+)>;", self._body):
            registers.append(f"  {REGISTERS[kind]} {kind}[{count}];")
        for size in re.findall(r"\.local .*\[(\d+)\];", self._body):
            local = max(local, int(size))
        for align, name, size in re.findall(r"\.shared \.align (\d+) \.b8 (\w+)\[(\d+)\];", self._body):
            start = -(-self._shared_bytes // int(align)) * int(align)
            self._shared[name], self._shared_bytes = start, start + int(size)
        for line in map(str.strip, self._body.splitlines()):
            if label := re.fullmatch(r"\$?(\w+):", line):
                self._begin(f"{label[1]}:;")
            elif half := HALF.fullmatch(line):
                self._half(half)
            elif line.endswith(";") and not line.startswith("."):
                self._instruction(line[:-1])
            elif line and not line.startswith((".", "//")):
                raise ValueError(f"PTX: the line {line!r} is not known here")
        count = len(self.blocks)
        fields = "\n".join(registers)
        resumes = "".join(f" case {number}: goto R{number};" for number in range(1, self._resumes + 1))
        text = (
            f"struct {self.name}_thread {{\n{fields}\n  alignas(16) uint8_t local[{local}];\n"
            f"  int begin, resume; uint32_t counts[{count}];\n}};\n"
            f"static int {self.name}({self.name}_thread& t, uint32_t thread, Place place, uint8_t* shared, "
            f"const void* argument) {{\n  (void)thread; (void)place; (void)shared;\n"
            f"  switch (t.resume) {{{resumes} }}\n  t.counts[0]++;\n"
            + "\n".join(self._lines)
            + "\n  return -1;\n}\n"
        )
        shape = {"threads": BLOCK_THREADS, "warp": WARP_THREADS, "shared": self._shared_bytes}
        return Kernel(
            self.name, text + RUN % {"name": self.name, "blocks": count, **shape}, tuple(self.blocks)
        )

    def _begin(self, label: str) -> None:
        """Begin a basic block."""
        self._lines.append(f"{label} t.counts[{len(self.blocks)}]++;")
        self.blocks.append(Block())

    def _half(self, found: re.Match[str]) -> None:
        """Take the lower or the upper half of a register."""
        bits, low, high, source = found.groups()
        to, shift = (low, 0) if high == "tmp" else (high, int(bits) // 2)
        self.blocks[-1].kinds["integer"] += 1
        self._lines.append(f"  {self._raw(to)} = {self._raw(source)} >> {shift};")

    def _instruction(self, line: str) -> None:
        guard = ""
        if found := re.match(r"@(!?)%p(\d+)\s+", line):
            guard, line = f"if ({found[1]}t.p[{found[2]}]) ", line[found.end() :]
        name, _, rest = line.partition("\t") if "\t" in line else line.partition(" ")
        op, *parts = name.strip().split(".")
        operands = [part.strip() for part in re.split(r",(?![^{]*})", rest)] if rest.strip() else []
        block = self.blocks[-1]
        if op in ("bra", "ret", "bar"):
            block.kinds["control"] += 1
            if op == "bra":
                self._lines.append(f"  {guard}goto {operands[0].lstrip('$')};")
            elif op == "ret":
                self._lines.append(f"  {guard}return -1;")
            else:
                self._resumes += 1
                self._lines.append(f"  return {self._resumes}; R{self._resumes}:;")
            self._begin("")
            return
        if op in ("ld", "st"):
            self._memory(op, parts, operands, guard, block)
            return
        if op not in ("cvta",):  # which a GPU does not execute for addresses of global memory
            block.kinds["integer"] += 1
        self._lines.append(f"  {guard}{{ {self._computed(op, parts, operands)} }}")

    def _value(self, operand: str, type_: str) -> str:
        """Return an operand as a value of a type."""
        return f"({TYPES[type_]})({self._raw(operand)})"

    def _raw(self, operand: str) -> str:
        if operand in PLACES:
            return PLACES[operand]
        if found := re.fullmatch(r"%(\w+?)(\d+)", operand):
            return f"t.{found[1]}[{found[2]}]"
        if operand in self._shared:
            return f"reinterpret_cast<uint64_t>(shared) + {self._shared[operand]}"
        if operand.startswith("__local_depot"):
            return "reinterpret_cast<uint64_t>(t.local)"
        if operand in ("%SP", "%SPL"):
            return f"t.{operand[1:]}"
        return f"{int(operand, 0)}ll"

    def _computed(self, op: str, parts: list[str], operands: list[str]) -> str:
        to, *given = operands
        type_ = parts[-1]
        unknown = ValueError(f"PTX: the instruction {op}.{'.'.join(parts)} is not known here")
        if type_ not in TYPES:
            raise unknown
        values = [self._value(each, type_) for each in given]
        unsigned = [
            self._value(each, type_.replace("s", "u")) if type_ != "pred" else v
            for each, v in zip(given, values, strict=True)
        ]
        target = self._raw(to)
        plain = {"add": "+", "sub": "-", "and": "&", "or": "|", "xor": "^", "div": "/", "rem": "%"}
        match op:
            case "mov":
                return f"{target} = {values[0]};"
            case "cvta":
                return f"{target} = {self._raw(given[0])};"
            case "cvt":
                return f"{target} = ({TYPES[parts[-2]]}){values[0]};"
            case "add" | "sub":
                return f"{target} = {unsigned[0]} {plain[op]} {unsigned[1]};"
            case "and" | "or" | "xor" | "div" | "rem":
                return f"{target} = {values[0]} {plain[op]} {values[1]};"
            case "not":
                return f"{target} = {'!' if type_ == 'pred' else '~'}{values[0]};"
            case "neg":
                return f"{target} = 0 - {unsigned[0]};"
            case "abs":
                return f"{target} = {values[0]} < 0 ? 0 - {unsigned[0]} : {unsigned[0]};"
            case "min" | "max":
                return f"{target} = std::{op}({values[0]}, {values[1]});"
            case "mul" | "mad" if parts[0] == "wide":
                wide = f"{type_[0]}{2 * int(type_[1:])}"
                product = f"({TYPES[wide]}){values[0]} * ({TYPES[wide]}){values[1]}"
                return f"{target} = {product}" + (
                    f" + {self._value(given[2], wide)};" if op == "mad" else ";"
                )
            case "mul" | "mad" if parts[0] == "hi":
                bits = int(type_[1:])
                wide = "__int128" if bits == 64 else TYPES[f"{type_[0]}{2 * bits}"]
                product = f"({TYPES[type_]})((({wide}){values[0]} * ({wide}){values[1]}) >> {bits})"
                return f"{target} = {product}" + (f" + {unsigned[2]};" if op == "mad" else ";")
            case "mul" | "mad" if parts[0] == "lo":
                product = f"(uint64_t){unsigned[0]} * (uint64_t){unsigned[1]}"
                return f"{target} = {product}" + (f" + {unsigned[2]};" if op == "mad" else ";")
            case "shl" | "shr":
                amount = self._value(given[1], "u32")
                return (
                    f"{target} = {'left' if op == 'shl' else 'right'}<{TYPES[type_]}>({values[0]}, {amount});"
                )
            case "setp" if len(parts) == 2:
                return f"{target} = {values[0]} {COMPARE[parts[0]]} {values[1]};"
            case "selp":
                return f"{target} = {self._raw(given[2])} ? {values[0]} : {values[1]};"
        raise unknown

    def _memory(self, op: str, parts: list[str], operands: list[str], guard: str, block: Block) -> None:
        space = next((part for part in parts if part in SPACES), "global")
        type_, count = parts[-1], 2 if "v2" in parts else 4 if "v4" in parts else 1
        size = int(type_[1:]) // 8
        register, address = operands if op == "ld" else reversed(operands)
        registers = [each.strip() for each in register.strip("{}").split(",")]
        base, _, offset = address.strip("[]").partition("+")
        if space == "param":
            self._lines.append(f"  {guard}{self._raw(register)} = reinterpret_cast<uint64_t>(argument);")
            return
        for number, each in enumerate(registers):
            at = f"{self._raw(base)} + {int(offset or 0) + number * size}"
            if op == "ld":
                self._lines.append(f"  {guard}{self._raw(each)} = at<{TYPES[type_]}>({at});")
            else:
                self._lines.append(f"  {guard}put<{TYPES[type_]}>({at}, {self._value(each, type_)});")
        if space != "global":
            block.kinds[space] += 1
        elif op == "ld":
            block.kinds["global_load"] += 1
            block.load_bytes += size * count
        else:
            block.kinds["global_store"] += 1
            block.store_bytes += size * count


def translate(ptx: str) -> tuple[Kernel, ...]:
    """Return the kernels of a PTX text as C++; raise ValueError at an instruction that is not known here."""
    entries = re.findall(r"\.visible \.entry (\w+)\(.*?\n\{(.*?)\n\}", ptx, re.DOTALL)
    return tuple(_Translation(name, body).run() for name, body in entries)


def build(kernels: tuple[Kernel, ...], folder: Path, *, optimise: str = "-O2") -> Path:
    """Compile translated kernels to a library with a function `launch_NAME` for each; raise CalledProcessError."""
    source, library = folder / "ptx.cpp", folder / "ptx.so"
    source.write_text(
        HEADER + "#include <cstddef>\n" + "".join(kernel.text for kernel in kernels), encoding="utf-8"
    )
    command = (
        os.environ.get("CXX", "g++"),
        "-std=c++17",
        optimise,
        "-w",
        "-shared",
        "-fPIC",
        "-fno-strict-aliasing",
    )
    subprocess.run((*command, "-o", library, source), check=True, capture_output=True, text=True)
    return library


class PtxKernels:
    """Translated kernels that run on this process's memory, and what their warps have executed."""

    def __init__(self, kernels: tuple[Kernel, ...], library: Path) -> None:
        self._kernels = {kernel.name: kernel for kernel in kernels}
        self._library = ctypes.CDLL(str(library))

    @property
    def names(self) -> tuple[str, ...]:
        """The kernels' names."""
        return tuple(self._kernels)

    def launch(self, name: str, grid: tuple[int, int, int], argument: int) -> None:
        """Run a kernel."""
        call = self._library[f"launch_{name}"]
        call.argtypes = [ctypes.c_uint, ctypes.c_uint, ctypes.c_uint, ctypes.c_uint64]
        call.restype = None
        call(*grid, argument)

    def take(self, name: str) -> Executed:
        """Return what a kernel's warps have executed since the last call."""
        kernel = self._kernels[name]
        kinds = dict.fromkeys(KINDS, 0)
        moved = [0, 0]
        warps = (ctypes.c_uint64 * len(kernel.blocks)).in_dll(self._library, f"counts_{name}")
        threads = (ctypes.c_uint64 * len(kernel.blocks)).in_dll(self._library, f"threads_{name}")
        for number, block in enumerate(kernel.blocks):
            for kind, count in block.kinds.items():
                kinds[kind] += count * warps[number]
            moved[0] += block.load_bytes * threads[number]
            moved[1] += block.store_bytes * threads[number]
            warps[number] = threads[number] = 0
        return Executed(kinds, *moved)
