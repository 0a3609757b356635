#include "cpu/resample.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "cpu/lines.h"
#include "cpu/rows.h"

namespace vp {
namespace {

constexpr int kLoadBytes = 16;
constexpr int kBefore = kMaxTaps;  // bytes that may be read before a row; kAfter: after it
constexpr int kAfter = kMaxTaps + kLoadBytes;
constexpr int kAligned = 32;  // 16-bit values per cache line

int16_t* aligned(int16_t* values) {
  const auto address = reinterpret_cast<uintptr_t>(values);
  return values + (-address % (kAligned * sizeof(int16_t))) / sizeof(int16_t);
}

class Resampler {
 public:
  void plan(const ConstPlane& source, const Plane& target, double left, double top, double step_x, double step_y);
  void run(const ConstPlane& source, const Plane& target);
  size_t held_bytes() const {
    return (base_.capacity() + across_.first.capacity() + down_.first.capacity()) * sizeof(int32_t) +
           (places_.capacity() + across_.weights.capacity() + down_.weights.capacity() + lines_.capacity()) *
               sizeof(int16_t) +
           margin_.capacity();
  }

 private:
  ConstPlane readable(const ConstPlane& source, int row, int count);

  Line across_, down_;
  AcrossPlan plan_;
  std::vector<int32_t> base_;
  std::vector<uint16_t> places_;
  std::vector<int16_t> lines_;
  std::vector<uint8_t> margin_;
  bool inside_ = false;  // no load reads past a source row
  int lost_ = 0;         // in half units of the last sum's fraction
};

void Resampler::plan(const ConstPlane& source, const Plane& target, double left, double top, double step_x,
                     double step_y) {
  down_.plan(target.height, source.height, top, step_y);
  across_.plan(target.width, source.width, left, step_x);
  const int blocks = static_cast<int>(across_.first.size()) / kBlock;
  base_.resize(static_cast<size_t>(blocks) * (kBlock / kLane));
  places_.resize(across_.first.size());
  // How many bytes a lane's loads cover. Near the row's end they begin earlier, while they still cover every tap.
  const int reach = (across_.taps - 1) / taps_a_load(across_.taps) * taps_a_load(across_.taps) + kLoadBytes;
  inside_ = across_.first.front() >= 0;
  for (size_t lane = 0; lane < base_.size(); ++lane) {
    const int32_t* first = across_.first.data() + lane * kLane;
    const int room = furthest_place(across_.taps) - (first[kLane - 1] - first[0]);
    const int earlier = std::clamp(first[0] + reach - source.width, 0, std::clamp(first[0], 0, room));
    const int32_t base = first[0] - earlier;
    base_[lane] = base;
    inside_ &= base + reach <= source.width;
    uint16_t* const places = places_.data() + lane * kLane;
    for (int output = 0; output < kLane; ++output) {
      places[output] = static_cast<uint16_t>((first[output] - base) << 8 | 0x80);
    }
  }
  lost_ = lost_in_rounding(step_x, step_y);
  plan_ = AcrossPlan{blocks, across_.taps, base_.data(), places_.data(), across_.weights.data()};
}

// Rows that are safe to read past the ends: the source itself if no load does so, or copies with repeated ends.
ConstPlane Resampler::readable(const ConstPlane& source, int row, int count) {
  const uint8_t* line = source.data + row * source.stride;
  if (inside_) return {line, source.stride, source.width, count};
  const ptrdiff_t stride = kBefore + source.width + kAfter;
  for (int slot = 0; slot < count; ++slot, line += source.stride) {
    uint8_t* const copy = margin_.data() + slot * stride;
    std::memset(copy, line[0], kBefore);
    std::memcpy(copy + kBefore, line, source.width);
    std::memset(copy + kBefore + source.width, line[source.width - 1], kAfter);
  }
  return {margin_.data() + kBefore, stride, source.width, count};
}

void Resampler::run(const ConstPlane& source, const Plane& target) {
  const Rows& table = rows();
  if (!inside_) margin_.resize(static_cast<size_t>(kBefore + source.width + kAfter) * kRowBatch);
  const int line_length = (plan_.blocks * kBlock + kAligned - 1) / kAligned * kAligned;
  // Enough rows for one output and for the batch that is made ahead.
  const int kept = down_.taps + kRowBatch <= 8 ? 8 : 16;
  lines_.resize(static_cast<size_t>(kept) * line_length + kAligned);
  int16_t* const lines = aligned(lines_.data());
  const auto line_of = [&](int row) { return lines + static_cast<ptrdiff_t>(row & (kept - 1)) * line_length; };
  const int taps = down_.taps, last_row = source.height - 1;
  int made_to = 0;  // all rows before this one that are still needed are made
  for (int y = 0; y < target.height; ++y) {
    const int first = down_.first[y];
    const int last = std::clamp(first + taps - 1, 0, last_row);
    made_to = std::max(made_to, std::clamp(first, 0, last_row) / kRowBatch * kRowBatch);
    while (made_to <= last) {
      const int count = made_to + kRowBatch <= source.height ? kRowBatch : 1;
      const ConstPlane from = readable(source, made_to, count);
      table.resample_across(plan_, from.data, from.stride, line_of(made_to), line_length, count);
      made_to += count;
    }
    const int16_t* from[kMaxTaps];
    int16_t weights[kMaxTaps];
    const int16_t* const of_row = down_.of_block(y / kBlock) + y % kBlock;
    for (int tap = 0; tap < taps; ++tap) {
      from[tap] = line_of(std::clamp(first + tap, 0, last_row));
      weights[tap] = of_row[tap * kBlock];
    }
    const int lost = vp_lost(lost_, y);
    table.resample_down(from, weights, taps, lost, target.data + y * target.stride, target.width, y);
  }
}

}  // namespace

void resample(const ConstPlane* sources, const Plane* targets, int count, double left, double top, double step_x,
              double step_y) {
  // Buffers are kept from frame to frame, except for very large pictures, which are rare.
  constexpr size_t kMostKept = 4 << 20;
  thread_local Resampler resampler;
  resampler.plan(sources[0], targets[0], left, top, step_x, step_y);
  for (int index = 0; index < count; ++index) resampler.run(sources[index], targets[index]);
  if (resampler.held_bytes() > kMostKept) resampler = Resampler();
}

}  // namespace vp
