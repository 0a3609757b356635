"""The position of a point on screen by the camera formula u = z P - o, independent of the engine's code."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from video_pipeline.filters.geometry import Camera

EASED: dict[str, Callable[[float], float]] = {
    "linear": lambda p: p,
    "ease_in": lambda p: p * p,
    "ease_out": lambda p: 1 - (1 - p) ** 2,
    "ease_in_out": lambda p: p * p * (3 - 2 * p),
    "cubic": lambda p: 4 * p**3 if p < 0.5 else 1 - 4 * (1 - p) ** 3,
}


def place(
    camera: Camera, point: Sequence[float], frame: int, frames: int, size_px: tuple[int, int]
) -> tuple[float, float]:
    """Return the screen position, in pixels, of a point given in fractions of the picture."""
    s = EASED[camera.easing](frame / (frames - 1))
    seen = []
    for axis, (near, near_size, far, far_size) in enumerate(
        (
            (camera.start.x, camera.start.width, camera.end.x, camera.end.width),
            (camera.start.y, camera.start.height, camera.end.y, camera.end.height),
        )
    ):
        z = (1 - s) / near_size + s / far_size
        o = (1 - s) * near / near_size + s * far / far_size
        seen.append(float(z * point[axis] - o) * size_px[axis])
    return seen[0], seen[1]
