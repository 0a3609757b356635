"""How many encoders a GPU has, asked of NVENC itself: neither NVML nor CUDA tells.

The structures are those of NVENC's API 11.1 (nvEncodeAPI.h), which later drivers take too.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any, Final

API_VERSION: Final = 11 | 1 << 24
CUDA: Final = 1
"""A session's kind of device: device is a CUDA context."""

ENGINES: Final = 49
"""NV_ENC_CAPS_NUM_ENCODER_ENGINES; every codec's answer is that of the whole GPU."""

CAPS_ENTRY, DESTROY_ENTRY, OPEN_ENTRY, ENTRIES = 7, 27, 29, 318
"""Places in the table of NVENC's functions, and their number."""


def _struct_version(number: int) -> int:
    return API_VERSION | number << 16 | 7 << 28


class _Functions(ctypes.Structure):
    _fields_ = (
        ("version", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("entries", ctypes.c_void_p * ENTRIES),
    )


class _OpenSession(ctypes.Structure):
    _fields_ = (
        ("version", ctypes.c_uint32),
        ("device_type", ctypes.c_uint32),
        ("device", ctypes.c_void_p),
        ("reserved", ctypes.c_void_p),
        ("api_version", ctypes.c_uint32),
        ("reserved1", ctypes.c_uint32 * 253),
        ("reserved2", ctypes.c_void_p * 64),
    )


class _Guid(ctypes.Structure):
    _fields_ = (
        ("data1", ctypes.c_uint32),
        ("data2", ctypes.c_uint16),
        ("data3", ctypes.c_uint16),
        ("data4", ctypes.c_uint8 * 8),
    )


class _Capability(ctypes.Structure):
    _fields_ = (
        ("version", ctypes.c_uint32),
        ("asked", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32 * 62),
    )


H264: Final = _Guid(
    0x6BC82762, 0x4E63, 0x4CA4, (ctypes.c_uint8 * 8)(0xAA, 0x85, 0x1E, 0x50, 0xF3, 0x21, 0xF6, 0xBF)
)


def count_engines(gpu: int) -> int | None:
    """Return how many encoders a GPU has, by CUDA's count; None if NVENC does not say.

    It opens a session for a moment. A driver can crash, or not return from a call: call it in a program of its own.
    """
    windows = sys.platform == "win32"
    try:
        cuda = ctypes.CDLL("nvcuda.dll" if windows else "libcuda.so.1")
        nvenc = ctypes.CDLL("nvEncodeAPI64.dll" if windows else "libnvidia-encode.so.1")
        functions = _Functions(version=_struct_version(2))
        device, context = ctypes.c_int(), ctypes.c_void_p()
        failed = (
            cuda.cuInit(0)
            or cuda.cuDeviceGet(ctypes.byref(device), gpu)
            or cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device)
            or nvenc.NvEncodeAPICreateInstance(ctypes.byref(functions))
        )
    except (OSError, AttributeError):
        return None
    return None if failed else _engines_of(functions, context)


def _engines_of(functions: _Functions, context: ctypes.c_void_p) -> int | None:
    def function(entry: int, *kinds: Any) -> Any:
        return ctypes.CFUNCTYPE(ctypes.c_int, *kinds)(functions.entries[entry])

    pointer = ctypes.c_void_p
    opening = _OpenSession(_struct_version(1), CUDA, context, None, API_VERSION)
    session, found = pointer(), ctypes.c_int()
    if function(OPEN_ENTRY, pointer, pointer)(ctypes.byref(opening), ctypes.byref(session)):
        return None
    asked = _Capability(_struct_version(1), ENGINES)
    ask = function(CAPS_ENTRY, pointer, _Guid, pointer, pointer)
    failed = ask(session, H264, ctypes.byref(asked), ctypes.byref(found))
    function(DESTROY_ENTRY, pointer)(session)
    return None if failed or found.value < 1 else found.value
