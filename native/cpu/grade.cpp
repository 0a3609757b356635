#include "cpu/grade.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace vp {
namespace {

constexpr size_t kColours = 65536, kLevels = 256;

bool changes_colours(const LutView& lut) {
  const double* value = lut.values;
  for (int blue = 0; blue < lut.size; ++blue) {
    for (int green = 0; green < lut.size; ++green) {
      for (int red = 0; red < lut.size; ++red) {
        for (const int own : {red, green, blue}) {
          // Half of the last digit in a .cube file.
          if (std::abs(*value++ - static_cast<double>(own) / (lut.size - 1)) > 0.6e-6) return true;
        }
      }
    }
  }
  return false;
}

void copy_plane(const ConstPlane& source, const Plane& target) {
  for (int row = 0; row < source.height; ++row) {
    std::memcpy(target.data + row * target.stride, source.data + row * source.stride, static_cast<size_t>(source.width));
  }
}

// Chroma at each luma pixel of a row as V * 256 + U. Samples lie on even columns (H.264's default position). The key
// after a row's last one, which is halfway beyond the picture, is the last one again.
void spread_chroma(const uint8_t* __restrict u, const uint8_t* __restrict v, uint16_t* __restrict keys, int width) {
  for (int x = 0; x + 1 < width; ++x) {
    keys[2 * x] = static_cast<uint16_t>(v[x] << 8 | u[x]);
    keys[2 * x + 1] = static_cast<uint16_t>(((v[x] + v[x + 1] + 1) >> 1) << 8 | (u[x] + u[x + 1] + 1) >> 1);
  }
  keys[2 * width - 2] = keys[2 * width - 1] = static_cast<uint16_t>(v[width - 1] << 8 | u[width - 1]);
}

}  // namespace

GradeCurves::GradeCurves(const double* values, int size)
    : values_(values, values + 3 * static_cast<size_t>(size) * size * size),
      lut_{values_.data(), size},
      changes_(changes_colours(lut_)),
      curves_(new Curve[kColours]),
      luma_(new uint8_t[kColours * kLevels]),
      chroma_(new uint8_t[kColours * kLevels * 2]) {
  for (size_t key = 0; key < kColours; ++key) curves_[key].store(nullptr, std::memory_order_relaxed);
}

int GradeCurves::made() const {
  const std::lock_guard<std::mutex> lock(making_);
  return made_;
}

const uint8_t* GradeCurves::make(uint16_t key) {
  const std::lock_guard<std::mutex> lock(making_);
  if (const uint8_t* found = curves_[key].load(std::memory_order_relaxed)) return found;
  const size_t place = made_++ * kLevels;
  uint8_t *luma = luma_.get() + place, *chroma = chroma_.get() + 2 * place;
  for (int y = 0; y < static_cast<int>(kLevels); ++y) {
    const Yuv colour = graded(lut_, y, key & 255, key >> 8);
    luma[y] = rounded_level(colour.y);
    chroma[2 * y] = rounded_level(colour.u);
    chroma[2 * y + 1] = rounded_level(colour.v);
  }
  curves_[key].store(luma, std::memory_order_release);
  return luma;
}

void GradeCurves::grade_rows(const uint16_t* keys, const uint8_t* one, const uint8_t* two, const GradedRows& to,
                             int width) {
  // Local copies, because a store to a row could change the members. Loads come before stores, so that the processor
  // overlaps them.
  uint8_t *const to_one = to.one, *const to_two = to.two, *const to_u = to.u, *const to_v = to.v;
  const Curve* const curves = curves_.get();
  const uint8_t *const luma = luma_.get(), *const chroma = chroma_.get();
  const auto curve_of = [&](uint16_t key) {
    const uint8_t* curve = curves[key].load(std::memory_order_acquire);
    return curve ? curve : make(key);
  };
  const auto set_chroma = [&](const uint8_t* curve, int mean, int x) {
    const uint8_t* colour = chroma + 2 * ((curve - luma) + mean);
    const uint8_t blue = colour[0], red = colour[1];
    to_u[x] = blue;
    to_v[x] = red;
  };
  for (int x = 0; x < width / 2; ++x) {
    const uint8_t *left = curve_of(keys[2 * x]), *right = curve_of(keys[2 * x + 1]);
    const int a = one[2 * x], b = one[2 * x + 1], c = two[2 * x], d = two[2 * x + 1];
    const uint8_t new_a = left[a], new_b = right[b], new_c = left[c], new_d = right[d];
    to_one[2 * x] = new_a;
    to_one[2 * x + 1] = new_b;
    to_two[2 * x] = new_c;
    to_two[2 * x + 1] = new_d;
    set_chroma(left, (a + b + c + d + 2) >> 2, x);
  }
  if (width % 2) {
    const uint8_t* left = curve_of(keys[width - 1]);
    const int a = one[width - 1], c = two[width - 1];
    to_one[width - 1] = left[a];
    to_two[width - 1] = left[c];
    set_chroma(left, (a + c + 1) >> 1, width / 2);
  }
}

void GradeCurves::apply(const ConstPlane* source, const Plane* target) {
  if (!changes_) {
    for (int index = 0; index < 3; ++index) copy_plane(source[index], target[index]);
    return;
  }
  const ConstPlane &luma = source[0], &u = source[1], &v = source[2];
  std::vector<uint16_t> keys(2 * static_cast<size_t>(u.width));
  for (int row = 0; row < u.height; ++row) {
    const int next = 2 * row + 1 < luma.height ? 2 * row + 1 : 2 * row;  // a picture of odd height ends in one row
    const GradedRows to{target[0].data + 2 * row * target[0].stride, target[0].data + next * target[0].stride,
                        target[1].data + row * target[1].stride, target[2].data + row * target[2].stride};
    spread_chroma(u.data + row * u.stride, v.data + row * v.stride, keys.data(), u.width);
    grade_rows(keys.data(), luma.data + 2 * row * luma.stride, luma.data + next * luma.stride, to, luma.width);
  }
}

}  // namespace vp
