#include "cpu/resample.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#include "cpu/rows.h"

namespace vp {
namespace {

// Keys' cubic convolution with a = -1/2 (Catmull-Rom). Keys, "Cubic convolution interpolation for digital image
// processing", IEEE Trans. ASSP 29 (1981).
double cubic(double x) {
  x = std::abs(x);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
  return 0;
}

// std::floor without the call that it is on a processor of the plainest kind.
int whole_below(double x) {
  const int whole = static_cast<int>(x);
  return whole - (whole > x);
}

// Where the taps of one output begin in the source, and their coefficients.
struct Taps {
  int first;
  std::array<int16_t, kMaxTaps> coefficients;
};

// How much wider the kernel is than for a step of 1, so that what a step passes over is averaged. It stays a tenth
// behind the step: sharper, and pictures have little at that end of their band.
double stretch_of(double step) { return std::max(1.0, step / 1.1); }

// An even number of taps that holds the kernel: 4, 6 or 8.
int tap_count(double step) { return 2 * static_cast<int>(std::ceil(2 * stretch_of(step) - 1e-9)); }

// The taps of the output whose middle lies at `centre`, in pixels of a line of `length`. Taps that lie outside the
// line are laid on its ends. The coefficients sum to exactly one.
Taps make_taps(double centre, double step, int count, int length) {
  const double stretch = stretch_of(step);
  const int first = whole_below(centre - 0.5) - count / 2 + 1;
  std::array<double, kMaxTaps> weights{};
  double total = 0;
  for (int tap = 0; tap < count; ++tap) {
    weights[tap] = cubic((first + tap + 0.5 - centre) / stretch);
    total += weights[tap];
  }
  const double whole = (1 << kCoefficientBits) / total;
  int begin = first;
  std::array<double, kMaxTaps> laid{};
  if (first >= 0 && first + count <= length) {
    for (int tap = 0; tap < count; ++tap) laid[tap] = weights[tap] * whole;
  } else {
    begin = std::clamp(first, 0, std::max(0, length - count));
    for (int tap = 0; tap < count; ++tap) {
      const int place = std::clamp(first + tap, 0, length - 1);
      laid[std::min(place - begin, count - 1)] += weights[tap] * whole;
    }
  }
  // Rounding is carried from tap to tap, so that the sum is exact.
  Taps taps{begin, {}};
  double carried = 0;
  int sum = 0, largest = 0;
  for (int tap = 0; tap < count; ++tap) {
    const double wanted = laid[tap] + carried;
    const int rounded = static_cast<int>(std::lrint(wanted));
    carried = wanted - rounded;
    taps.coefficients[tap] = static_cast<int16_t>(rounded);
    sum += rounded;
    if (std::abs(rounded) > std::abs(taps.coefficients[largest])) largest = tap;
  }
  taps.coefficients[largest] = static_cast<int16_t>(taps.coefficients[largest] + (1 << kCoefficientBits) - sum);
  return taps;
}

constexpr int kLoadBytes = 16;
constexpr int kAligned = 32;  // values of a row between passes in a cache line

int16_t* aligned(int16_t* values) {
  const auto address = reinterpret_cast<uintptr_t>(values);
  return values + (-address % (kAligned * sizeof(int16_t))) / sizeof(int16_t);
}

class Resampler {
 public:
  void plan(const ConstPlane& source, const Plane& target, double left, double top, double step_x, double step_y);
  void run(const ConstPlane& source, const Plane& target);
  size_t held_bytes() const {
    return base_.capacity() * sizeof(int32_t) + shuffle_.capacity() + margin_.capacity() +
           (coefficients_.capacity() + lines_.capacity()) * sizeof(int16_t) + down_.capacity() * sizeof(Taps);
  }

 private:
  void plan_across(int source_width, int width, double left, double step);
  const uint8_t* padded(const ConstPlane& source, int row, int slot);

  HorizontalPlan plan_;
  std::vector<int32_t> base_;
  std::vector<uint8_t> shuffle_;
  std::vector<int16_t> coefficients_;
  std::vector<Taps> down_;
  std::vector<int16_t> lines_;
  std::vector<uint8_t> margin_;
  int taps_down_ = 0;
  int readable_ = 0;  // bytes of a source row that loads may reach
};

void Resampler::plan_across(int source_width, int width, double left, double step) {
  const int taps = tap_count(step);
  const int lanes = (width + 4 * kLane - 1) / (4 * kLane) * 4;  // whole steps of the widest target
  plan_.lanes = lanes;
  plan_.pairs = taps / 2;
  base_.assign(lanes, 0);
  shuffle_.assign(static_cast<size_t>(lanes) * plan_.pairs * 16, 0x80);
  coefficients_.assign(static_cast<size_t>(lanes) * plan_.pairs * 8, 0);
  readable_ = 0;
  for (int lane = 0; lane < lanes; ++lane) {
    for (int output = 0; output < kLane; ++output) {
      const int x = std::min(lane * kLane + output, width - 1);
      const Taps line = make_taps(left + (x + 0.5) * step, step, taps, source_width);
      if (output == 0) {
        base_[lane] = line.first;
        readable_ = std::max(readable_, line.first + kLoadBytes);
      }
      for (int tap = 0; tap < taps; ++tap) {
        const size_t at = (static_cast<size_t>(lane / 2) * plan_.pairs + tap / 2) * 2 + lane % 2;
        const size_t half = static_cast<size_t>(tap) % 2;
        shuffle_[at * 16 + output * 4 + half * 2] = static_cast<uint8_t>(line.first - base_[lane] + tap);
        coefficients_[at * 8 + output * 2 + half] = line.coefficients[tap];
      }
    }
  }
  plan_.base = base_.data();
  plan_.shuffle = shuffle_.data();
  plan_.coefficients = coefficients_.data();
}

// A source row that may be read `readable_` bytes far: itself, or a copy where it is shorter.
const uint8_t* Resampler::padded(const ConstPlane& source, int row, int slot) {
  const uint8_t* line = source.data + row * source.stride;
  if (readable_ <= source.width) return line;
  uint8_t* copy = margin_.data() + static_cast<size_t>(slot) * readable_;
  std::memcpy(copy, line, source.width);
  return copy;
}

void Resampler::plan(const ConstPlane& source, const Plane& target, double left, double top, double step_x,
                     double step_y) {
  plan_across(source.width, target.width, left, step_x);
  taps_down_ = tap_count(step_y);
  down_.resize(target.height);
  for (int y = 0; y < target.height; ++y) {
    down_[y] = make_taps(top + (y + 0.5) * step_y, step_y, taps_down_, source.height);
  }
}

void Resampler::run(const ConstPlane& source, const Plane& target) {
  const Rows& table = rows();
  margin_.assign(readable_ > source.width ? static_cast<size_t>(readable_) * kRowBatch : 0, 0);
  const int line_length = (plan_.lanes * kLane + kAligned - 1) / kAligned * kAligned;
  constexpr int kLines = 16;  // rows kept: what kMaxTaps rows need, and the batch that is made ahead
  lines_.resize(static_cast<size_t>(kLines) * line_length + kAligned);
  int16_t* const lines = aligned(lines_.data());
  int made_to = 0;  // the rows before this one that are still needed are in their slots
  for (int y = 0; y < target.height; ++y) {
    const Taps& down = down_[y];
    const int last = std::min(down.first + taps_down_, source.height);
    made_to = std::max(made_to, down.first);
    while (made_to < last) {
      const uint8_t* from[kRowBatch];
      int16_t* to[kRowBatch];
      const int count = std::min(kRowBatch, source.height - made_to);
      for (int slot = 0; slot < count; ++slot) {
        from[slot] = padded(source, made_to + slot, slot);
        to[slot] = lines + static_cast<size_t>((made_to + slot) % kLines) * line_length;
      }
      table.resample_across(plan_, from, to, count);
      made_to += count;
    }
    const int16_t* from[kMaxTaps];
    for (int tap = 0; tap < taps_down_; ++tap) {
      const int row = std::min(down.first + tap, source.height - 1);  // of no weight where it is past the end
      from[tap] = lines + static_cast<size_t>(row % kLines) * line_length;
    }
    table.resample_down(from, down.coefficients.data(), taps_down_, target.data + y * target.stride, target.width, y);
  }
}

}  // namespace

void resample(const ConstPlane* sources, const Plane* targets, int count, double left, double top, double step_x,
              double step_y) {
  // Kept from frame to frame, but for pictures so large that they are rare.
  constexpr size_t kMostKept = 4 << 20;
  thread_local Resampler resampler;
  resampler.plan(sources[0], targets[0], left, top, step_x, step_y);
  for (int index = 0; index < count; ++index) resampler.run(sources[index], targets[index]);
  if (resampler.held_bytes() > kMostKept) resampler = Resampler();
}

}  // namespace vp
