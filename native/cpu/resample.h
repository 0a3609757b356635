// A plane of bytes seen through a rectangle that lies anywhere between its pixels.
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

constexpr double kMaxStep = 2.0;  // source pixels an output pixel may be apart, across and down
constexpr double kFewestTapsStep = 1.1;  // up to this step the fewest taps, four, are taken

// Draw the part of a plane that begins at (left, top) and goes `step_x`, `step_y` source pixels an output pixel.
// Edges of the source are continued outward. Steps lie in (0, kMaxStep]. `count` sources of one size are drawn into
// as many targets of one size.
void resample(const ConstPlane* sources, const Plane* targets, int count, double left, double top, double step_x,
              double step_y);

}  // namespace vp
