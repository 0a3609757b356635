"""Find the colour space of a clip from the tags of its frames."""

from __future__ import annotations

from typing import Final

import av

from video_pipeline.filters.color import HDR_TRANSFERS, ColorTags

UNSPECIFIED: Final = 2

PRIMARIES: Final = {
    4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film", 9: "bt2020",
    11: "smpte432", 12: "smpte432", 22: "jedec-p22",
}  # fmt: skip
"""FFmpeg's names of primaries by their numbers in ISO 23091-2, without those of BT.709.

P3 with the white of cinemas (11) is shown with a screen's white, as everything is: FFmpeg would leave it greenish.
"""

TRANSFERS: Final = {8: "linear", 16: "smpte2084", 18: "arib-std-b67"}
"""FFmpeg's names of transfers by number; all others are treated as BT.709, as screens show them."""

MATRICES: Final = {
    0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020nc", 10: "bt2020c",
    14: "ictcp",
}  # fmt: skip
"""FFmpeg's names of matrices by number."""

BT2020_MATRICES: Final = (9, 10, 14)


def color_of(stream: av.VideoStream, frame: av.VideoFrame) -> ColorTags | None:
    """Return a clip's colour tags, or None if its primaries and transfer are those of BT.709.

    A frame without a tag has the tag of its stream. A clip without primaries has those of BT.2020 if its matrix is
    BT.2020 or its transfer HDR.
    """
    context = stream.codec_context

    def tag(of_frame: int, of_stream: int) -> int:
        return of_stream if of_frame == UNSPECIFIED else of_frame

    matrix = tag(int(frame.colorspace), int(context.colorspace))
    transfer = TRANSFERS.get(tag(int(frame.color_trc), int(context.color_trc)), "bt709")
    number = tag(int(frame.color_primaries), int(context.color_primaries))
    wide = matrix in BT2020_MATRICES or transfer in HDR_TRANSFERS - {"linear"}
    primaries = PRIMARIES.get(9 if number == UNSPECIFIED and wide else number, "bt709")
    if primaries == transfer == "bt709":
        return None
    if frame.format.is_rgb:
        return ColorTags(primaries, transfer, "gbr")
    fallback = "bt2020nc" if primaries == "bt2020" else "bt709" if frame.height >= 720 else "smpte170m"
    return ColorTags(primaries, transfer, MATRICES.get(matrix, fallback))
