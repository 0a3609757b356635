// A 3D LUT on colours of BT.709, limited range: knots in exactly rounded operations, pixels between them in whole
// numbers, so that every machine gets the same bytes.
#pragma once

#include <algorithm>
#include <cstddef>
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

constexpr int kGradeBits = 3;
constexpr int kGradeStep = 1 << kGradeBits;  // levels of U and of V from one knot to the next
constexpr int kGradeCells = 256 >> kGradeBits;
constexpr int kCellKnots = 1024 + 32;  // the last 32 are empty: else cells would share places in a cache
constexpr int kGradeScale = 64;  // of a level in a knot
constexpr int kGradeShift = 6 + 2 * kGradeBits;

// How far RGB may lie beyond 0 to 1. The knots around a colour of RGB lie no further off, so the LUT goes on straight
// beyond its ends for them. Colours beyond that count as the nearest within.
constexpr double kGradeMargin = kGradeStep * 1.8556 / 224;

// Trilinear interpolation; `rgb` is clamped to kGradeMargin beyond 0 to 1.
inline void look_up(const LutView& lut, const double (&rgb)[3], double (&found)[3]) {
  const int last = lut.size - 1;
  int near[3];
  double part[3];
  for (int channel = 0; channel < 3; ++channel) {
    const double place = std::min(std::max(rgb[channel], -kGradeMargin), 1 + kGradeMargin) * last;
    near[channel] = std::min(static_cast<int>(std::max(place, 0.0)), last - 1);
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

// Knots have the new levels of colours whose U and V are multiples of kGradeStep, for every Y. Between them a colour's
// new level is bilinear in U and V. A cell has the four knots around its colours, [Y][U][V] of luma in one array and
// [Y / 2][U][new U at V, at the next V, new V at V, at the next V] of chroma in another.
inline uint32_t grade_cell(int u, int v) {
  const int cell = (v >> kGradeBits) * kGradeCells + (u >> kGradeBits);
  return static_cast<uint32_t>(cell * kCellKnots);
}

// The weights of the knots around a colour, in the order of their arrays; the sum of four is kGradeStep squared.
struct GradeWeights {
  alignas(16) int16_t luma[8];    // the four weights, twice
  alignas(16) int16_t chroma[8];  // of U and of V, then the same at the next U
};

// Where a chroma colour lies in its cell: the number of its weights in a table [V][U].
inline uint16_t grade_share(int u, int v) {
  constexpr int low = kGradeStep - 1;
  return static_cast<uint16_t>((v & low) << kGradeBits | (u & low));
}

// A level as a knot has it.
inline int16_t knot_of(double level) {
  const double kept = std::min(std::max(level, -500.0), 500.0) * kGradeScale;
  return static_cast<int16_t>(static_cast<int>(kept + 32768.5) - 32768);
}

// A level from four knots, `step` apart where U changes, and the weights of luma.
inline uint8_t level_between(const int16_t* knots, int step, const int16_t* weights) {
  const int32_t here = knots[0] * weights[0] + knots[1] * weights[1];
  const int32_t sum = here + knots[step] * weights[2] + knots[step + 1] * weights[3];
  return static_cast<uint8_t>(std::min(std::max((sum + (1 << (kGradeShift - 1))) >> kGradeShift, 0), 255));
}

}  // namespace vp
