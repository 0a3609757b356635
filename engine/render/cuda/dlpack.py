"""Planes of a GPU's memory as DLPack tensors, which PyAV takes without a copy.

The structures are those of DLPack 0.8 (dlpack.h), which has no version field.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

CUDA: Final = 2
UNSIGNED: Final = 1
"""DLPack's numbers of a kind of device and of a kind of sample."""


class _Device(ctypes.Structure):
    _fields_ = (("type", ctypes.c_int32), ("id", ctypes.c_int32))


class _DataType(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16))


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", _Device),
        ("dimensions", ctypes.c_int32),
        ("dtype", _DataType),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class _Managed(ctypes.Structure):
    _fields_ = (("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p))


_lent: Final[dict[int, tuple[Any, ...]]] = {}
"""What must stay in memory for each tensor that a consumer has, by the address of its structure."""


def _delete(address: int) -> None:
    _lent.pop(address, None)


_deleter: Final = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(_delete)

_new_capsule: Final = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype = ctypes.py_object
_new_capsule.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)


class DlpackPlane:
    """A plane of bytes in a GPU's memory. `owner` is kept as long as a consumer has the plane."""

    def __init__(self, address: int, *, width: int, height: int, pitch: int, gpu: int, owner: object) -> None:
        self._address, self._shape, self._pitch = address, (height, width), pitch
        self._gpu, self._owner = gpu, owner

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return the kind and number of the device."""
        return CUDA, self._gpu

    def __dlpack__(self, *, stream: int | None = None) -> object:
        """Return the plane as a capsule. Its bytes are complete, so no stream need wait for them."""
        del stream
        managed = _Managed()
        shape = (ctypes.c_int64 * 2)(*self._shape)
        strides = (ctypes.c_int64 * 2)(self._pitch, 1)
        tensor = managed.tensor
        tensor.data, tensor.device = self._address, _Device(CUDA, self._gpu)
        tensor.dimensions, tensor.dtype = 2, _DataType(UNSIGNED, 8, 1)
        tensor.shape, tensor.strides = shape, strides
        managed.deleter = ctypes.cast(_deleter, ctypes.c_void_p)
        address = ctypes.addressof(managed)
        _lent[address] = managed, shape, strides, self._owner
        return _new_capsule(address, b"dltensor", None)
