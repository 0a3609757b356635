// NumPy arrays as planes of pixels: rows of contiguous bytes with any stride.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/tuple.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <tuple>

#include "cpu/resample.h"

namespace vp {

namespace nb = nanobind;

constexpr int kLongestSide = 1000000;  // limit of rows and columns, so that positions and plans fit 32 bits

using SourceArray = nb::ndarray<const uint8_t, nb::ndim<2>, nb::device::cpu>;
using TargetArray = nb::ndarray<uint8_t, nb::ndim<2>, nb::device::cpu>;

template <typename PlaneType, typename Array>
PlaneType as_plane(const Array& array, const char* name) {
  if (array.shape(0) < 1 || array.shape(1) < 1 || array.shape(0) > kLongestSide || array.shape(1) > kLongestSide) {
    throw nb::value_error((std::string(name) + ": an array of shape (" + std::to_string(array.shape(0)) + ", " +
                           std::to_string(array.shape(1)) + "); allowed: rows and columns from 1 to " +
                           std::to_string(kLongestSide))
                              .c_str());
  }
  if (array.shape(1) > 1 && array.stride(1) != 1) {
    throw nb::value_error((std::string(name) + ": its columns lie " + std::to_string(array.stride(1)) +
                           " bytes apart; allowed: 1")
                              .c_str());
  }
  return PlaneType{array.data(), static_cast<ptrdiff_t>(array.stride(0)), static_cast<int>(array.shape(1)),
                   static_cast<int>(array.shape(0))};
}

inline ConstPlane source_plane(const SourceArray& array, const char* name) {
  return as_plane<ConstPlane>(array, name);
}
// A target's rows may not overlap, so that the result does not depend on the drawing order.
inline Plane target_plane(const TargetArray& array, const char* name) {
  const Plane plane = as_plane<Plane>(array, name);
  if (plane.height > 1 && plane.stride < plane.width && plane.stride > -plane.width) {
    throw nb::value_error((std::string(name) + ": its rows lie " + std::to_string(plane.stride) +
                           " bytes apart; allowed: no less than its " + std::to_string(plane.width) + " columns")
                              .c_str());
  }
  return plane;
}

// Whether two planes may share a byte. Planes side by side in one array share a span of memory but no byte.
template <typename One, typename Other>
bool share_bytes(const One& one, const Other& other) {
  const auto apart = [](const auto& plane) { return plane.stride < 0 ? -plane.stride : plane.stride; };
  const auto first_of = [](const auto& plane) {
    return reinterpret_cast<intptr_t>(plane.data) + (plane.stride < 0 ? (plane.height - 1) * plane.stride : 0);
  };
  const auto length_of = [&](const auto& plane) { return (plane.height - 1) * apart(plane) + plane.width; };
  const intptr_t first = first_of(one), second = first_of(other);
  if (first >= second + length_of(other) || second >= first + length_of(one)) return false;
  const intptr_t stride = one.height > 1 ? apart(one) : apart(other);
  if (stride == 0 || (other.height > 1 && apart(other) != stride)) return true;
  const intptr_t after = ((second - first) % stride + stride) % stride;  // from a row of `one` to one of `other`
  return after < one.width || stride - after < other.width;
}

template <typename Other>
void refuse_shared(const Plane& target, const Other& other, const char* name, const char* other_name) {
  if (!share_bytes(target, other)) return;
  throw nb::value_error((std::string(name) + ": shares memory with " + other_name + "; allowed: memory of its own")
                            .c_str());
}

using SourceFrame = std::tuple<SourceArray, SourceArray, SourceArray>;
using TargetFrame = std::tuple<TargetArray, TargetArray, TargetArray>;

template <typename PlaneType>
struct Frame {
  PlaneType planes[3];  // Y, U, V

  int width() const { return planes[0].width; }
  int height() const { return planes[0].height; }
};

// Three arrays as a 4:2:0 frame: the sides of U and V are half of Y's, rounded up.
template <typename PlaneType, typename Arrays, typename Make>
Frame<PlaneType> as_frame(const Arrays& arrays, const char* name, const Make& make) {
  const std::string text(name);
  Frame<PlaneType> frame{{make(std::get<0>(arrays), (text + "[0]").c_str()),
                          make(std::get<1>(arrays), (text + "[1]").c_str()),
                          make(std::get<2>(arrays), (text + "[2]").c_str())}};
  const int width = (frame.width() + 1) / 2, height = (frame.height() + 1) / 2;
  for (int index = 1; index < 3; ++index) {
    const PlaneType& plane = frame.planes[index];
    if (plane.width != width || plane.height != height) {
      throw nb::value_error((text + "[" + std::to_string(index) + "]: an array of shape (" +
                             std::to_string(plane.height) + ", " + std::to_string(plane.width) + "); allowed: (" +
                             std::to_string(height) + ", " + std::to_string(width) + "), half of " + text + "[0]")
                                .c_str());
    }
  }
  return frame;
}

inline Frame<ConstPlane> source_frame(const SourceFrame& arrays, const char* name) {
  return as_frame<ConstPlane>(arrays, name, source_plane);
}
inline Frame<Plane> target_frame(const TargetFrame& arrays, const char* name) {
  const Frame<Plane> frame = as_frame<Plane>(arrays, name, target_plane);
  const std::string text(name);
  for (int one = 1; one < 3; ++one) {
    for (int other = 0; other < one; ++other) {
      refuse_shared(frame.planes[one], frame.planes[other], (text + "[" + std::to_string(one) + "]").c_str(),
                    (text + "[" + std::to_string(other) + "]").c_str());
    }
  }
  return frame;
}

}  // namespace vp
