// NumPy arrays as planes of pixels: rows of bytes that lie one after another, any distance apart.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/tuple.h>

#include <stdexcept>
#include <string>
#include <tuple>

#include "cpu/resample.h"

namespace vp {

namespace nb = nanobind;

using SourceArray = nb::ndarray<const uint8_t, nb::ndim<2>, nb::device::cpu>;
using TargetArray = nb::ndarray<uint8_t, nb::ndim<2>, nb::device::cpu>;

template <typename PlaneType, typename Array>
PlaneType as_plane(const Array& array, const char* name) {
  if (array.shape(0) < 1 || array.shape(1) < 1 || array.shape(0) > INT32_MAX / 4 || array.shape(1) > INT32_MAX / 4) {
    throw nb::value_error((std::string(name) + ": an array of shape (" + std::to_string(array.shape(0)) + ", " +
                           std::to_string(array.shape(1)) + "); allowed: 1 or more rows and columns")
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
inline Plane target_plane(const TargetArray& array, const char* name) { return as_plane<Plane>(array, name); }


using SourceFrame = std::tuple<SourceArray, SourceArray, SourceArray>;
using TargetFrame = std::tuple<TargetArray, TargetArray, TargetArray>;

template <typename PlaneType>
struct Frame {
  PlaneType planes[3];  // Y, U, V

  int width() const { return planes[0].width; }
  int height() const { return planes[0].height; }
};

// Three arrays as a frame of 4:2:0: the sides of U and V are half of Y's, rounded up.
template <typename PlaneType, typename Arrays>
Frame<PlaneType> as_frame(const Arrays& arrays, const char* name) {
  const std::string text(name);
  Frame<PlaneType> frame{{as_plane<PlaneType>(std::get<0>(arrays), (text + "[0]").c_str()),
                          as_plane<PlaneType>(std::get<1>(arrays), (text + "[1]").c_str()),
                          as_plane<PlaneType>(std::get<2>(arrays), (text + "[2]").c_str())}};
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
  return as_frame<ConstPlane>(arrays, name);
}
inline Frame<Plane> target_frame(const TargetFrame& arrays, const char* name) {
  return as_frame<Plane>(arrays, name);
}

}  // namespace vp
