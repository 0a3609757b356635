#include "cpu/lines.h"

#include <algorithm>
#include <cmath>

#include "cpu/resample.h"

namespace vp {
namespace {

// std::floor would be a function call on the baseline target.
inline int whole_below(double x) {
  const int whole = static_cast<int>(x);
  return whole - (whole > x);
}

// How much wider the kernel is than for a step of 1, so that it averages all pixels in a step. It stays a tenth
// below the step, which is sharper, and pictures have little energy at the frequencies that alias.
double stretch_of(double step) { return std::max(1.0, step / kFewestTapsStep); }

// The smallest even number of taps that covers the kernel: 4, 6 or 8.
int tap_count(double step) { return 2 * static_cast<int>(std::ceil(2 * stretch_of(step) - 1e-9)); }

// Keys' cubic convolution with a = -1/2 (Catmull-Rom). Keys, "Cubic convolution interpolation for digital image
// processing", IEEE Trans. ASSP 29 (1981).
inline float cubic_near(float x) { return (1.5f * x - 2.5f) * x * x + 1; }        // for x <= 1
inline float cubic_far(float x) { return ((-0.5f * x + 2.5f) * x - 4) * x + 2; }  // for 1 <= x <= 2
inline float cubic(float x) { return x < 1 ? cubic_near(x) : x < 2 ? cubic_far(x) : 0.0f; }

inline int nearest(float x) {
  constexpr int kBelow = 1 << (kWeightBits + 1);
  return static_cast<int>(x + (kBelow + 0.5f)) - kBelow;
}

// The inner loops run over the outputs of a block, so that compilers vectorize them.
template <int kTaps>
void plan_block(int32_t* first, int16_t* weights, int begin, int count, int length, double start, double step) {
  [[maybe_unused]] const auto unstretched = static_cast<float>(1 / stretch_of(step));
  float part[kBlock];
  for (int output = 0; output < kBlock; ++output) {
    const int x = std::min(begin + output, count - 1);
    const double centre = start + (x + 0.5) * step - 0.5;
    const int whole = whole_below(centre);
    part[output] = static_cast<float>(centre - whole);
    first[output] = std::clamp(whole - kTaps / 2 + 1, -kTaps, length);  // beyond that every tap reads the line's end
  }
  // At the largest step rounding may move an output to the next whole position; start it one position earlier.
  for (int output = 0; output < kBlock; ++output) {
    const int over = std::max(0, first[output] - first[output / kLane * kLane] - furthest_place(kTaps));
    first[output] -= over;
    part[output] += static_cast<float>(over);
  }
  float of_tap[kTaps][kBlock], total[kBlock] = {}, scale[kBlock], carried[kBlock] = {};
  int left[kBlock];
  for (int tap = 0; tap < kTaps; ++tap) {
    for (int output = 0; output < kBlock; ++output) {
      const float away = std::abs(static_cast<float>(tap - kTaps / 2 + 1) - part[output]);
      if constexpr (kTaps == 4) {  // four taps are never stretched
        of_tap[tap][output] = tap == 1 || tap == 2 ? cubic_near(away) : cubic_far(away);
      } else {
        of_tap[tap][output] = cubic(away * unstretched);
        total[output] += of_tap[tap][output];
      }
    }
  }
  for (int output = 0; output < kBlock; ++output) {
    scale[output] = kTaps == 4 ? 1 << kWeightBits : (1 << kWeightBits) / total[output];
    left[output] = 1 << kWeightBits;
  }
  // Rounding errors carry from tap to tap; the remainder, at most one step, goes to the first tap, which is small.
  for (int tap = 0; tap < kTaps; ++tap) {
    for (int output = 0; output < kBlock; ++output) {
      const float wanted = of_tap[tap][output] * scale[output] + carried[output];
      const int rounded = std::min(nearest(wanted), (1 << kWeightBits) - 1);
      carried[output] = wanted - static_cast<float>(rounded);
      left[output] -= rounded;
      weights[tap * kBlock + output] = static_cast<int16_t>(rounded);
    }
  }
  for (int output = 0; output < kBlock; ++output) {
    weights[output] = static_cast<int16_t>(weights[output] + left[output]);
  }
}

}  // namespace

void Line::plan(int count, int length, double start, double step) {
  const int blocks = (count + kBlock - 1) / kBlock;
  taps = tap_count(step);
  first.resize(static_cast<size_t>(blocks) * kBlock);
  weights.resize(static_cast<size_t>(blocks) * kBlock * taps);
  const auto fill = taps == 4 ? plan_block<4> : taps == 6 ? plan_block<6> : plan_block<8>;
  for (int block = 0; block < blocks; ++block) {
    const size_t at = static_cast<size_t>(block) * kBlock;
    fill(first.data() + at, weights.data() + at * taps, block * kBlock, count, length, start, step);
  }
}

int lost_in_rounding(double step_x, double step_y) {
  // Both passes lose half a unit on average for each tap that the kernel covers; a unit of the vertical pass is two of
  // the horizontal. Subtract half a unit, because sums and rounding thresholds are whole units.
  return static_cast<int>(std::lrint(4 * stretch_of(step_y) + 2 * stretch_of(step_x) - 1));
}

}  // namespace vp
