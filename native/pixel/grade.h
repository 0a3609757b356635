// A 3D LUT on colours of BT.709, limited range, in exactly rounded operations: every machine gets the same bytes.
#pragma once

#include <algorithm>
#include <cstdint>

namespace vp {

// RGB values from 0 to 1 for each of size³ colours; red changes fastest, as in a .cube file.
struct LutView {
  const double* values;
  int size;
};

struct Yuv {
  double y, u, v;
};

// Trilinear interpolation; `rgb` is clamped to 0 to 1.
inline void look_up(const LutView& lut, const double (&rgb)[3], double (&found)[3]) {
  const int last = lut.size - 1;
  int near[3];
  double part[3];
  for (int channel = 0; channel < 3; ++channel) {
    const double place = std::min(std::max(rgb[channel], 0.0), 1.0) * last;
    near[channel] = std::min(static_cast<int>(place), last - 1);
    part[channel] = place - near[channel];
  }
  const int64_t row = 3 * static_cast<int64_t>(lut.size), plane = row * lut.size;
  const double* corner = lut.values + near[2] * plane + near[1] * row + near[0] * 3;
  const auto mixed = [](double one, double other, double share) { return one + (other - one) * share; };
  for (int channel = 0; channel < 3; ++channel, ++corner) {
    const double one = mixed(mixed(corner[0], corner[3], part[0]), mixed(corner[row], corner[row + 3], part[0]), part[1]);
    const double* above = corner + plane;
    const double other = mixed(mixed(above[0], above[3], part[0]), mixed(above[row], above[row + 3], part[0]), part[1]);
    found[channel] = mixed(one, other, part[2]);
  }
}

// The colour that a LUT gives to a colour, both as levels; the formulas are those of ITU-R BT.709-6, items 3.2 to 3.5.
inline Yuv graded(const LutView& lut, int y, int u, int v) {
  const double luma = (y - 16) / 219.0, red = luma + 1.5748 * ((v - 128) / 224.0);
  const double blue = luma + 1.8556 * ((u - 128) / 224.0);
  const double rgb[3] = {red, (luma - 0.2126 * red - 0.0722 * blue) / 0.7152, blue};
  double to[3];
  look_up(lut, rgb, to);
  const double shown = 0.2126 * to[0] + 0.7152 * to[1] + 0.0722 * to[2];
  return {16 + 219 * shown, 128 + 224 * ((to[2] - shown) / 1.8556), 128 + 224 * ((to[0] - shown) / 1.5748)};
}

// The nearest level of a value from -256 to 511; faster than std::floor, which SSE2 does not have.
inline uint8_t rounded_level(double value) {
  return static_cast<uint8_t>(std::min(std::max(static_cast<int>(value + 256.5) - 256, 0), 255));
}

}  // namespace vp
