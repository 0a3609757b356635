// Resampling of a plane of bytes at a rectangle with subpixel position.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vp {

struct ConstPlane {
  const uint8_t* data;
  ptrdiff_t stride;
  int width, height;
};

struct Plane {
  uint8_t* data;
  ptrdiff_t stride;
  int width, height;
};

constexpr double kMaxStep = 2.0;  // largest step: source pixels for each output pixel, in both directions
constexpr double kFewestTapsStep = 1.1;  // up to this step four taps, the smallest number, are enough

// Resample the part of a plane that begins at (left, top), with `step_x`, `step_y` source pixels per output pixel.
// The source's edges are repeated outward. Steps are in (0, kMaxStep]. `count` sources of one size are drawn into
// `count` targets of one size.
void resample(const ConstPlane* sources, const Plane* targets, int count, double left, double top, double step_x,
              double step_y);

// Where the chroma planes' view begins across. A chroma sample lies on an even luma column, halfway between two rows
// (H.264's default): with luma columns at x + 1/2, sample i is at 2 i + 1/2, in the source as in the target.
inline double chroma_left(double left, double step_x) { return left / 2 + (1 - step_x) / 4; }
inline double chroma_top(double top) { return top / 2; }

}  // namespace vp
