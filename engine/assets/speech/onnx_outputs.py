"""Ask an ONNX model for one of its inner tensors, without the package `onnx`."""

from __future__ import annotations

from typing import Final

GRAPH: Final = 7  # field numbers of onnx.proto: ModelProto.graph, GraphProto.output, ValueInfoProto.name
OUTPUT: Final = 12
NAME: Final = 1


def with_output(model: bytes, tensor: str) -> bytes:
    """Return a model that returns an inner tensor too, after its own outputs.

    Protocol buffers merge a field that comes twice, so a second graph with nothing but an output adds it to the first.
    """
    return model + _protobuf_field(GRAPH, _protobuf_field(OUTPUT, _protobuf_field(NAME, tensor.encode())))


def _protobuf_field(number: int, body: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(body)) + body


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
