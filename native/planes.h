// NumPy arrays as planes of pixels: rows of bytes that lie one after another, any distance apart.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <stdexcept>
#include <string>

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

}  // namespace vp
