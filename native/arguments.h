// Checks of arguments from Python that several bindings share; a wrong one is a ValueError.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>

#include "cpu/transition.h"
#include "overlay.h"
#include "pixel/fixed.h"
#include "planes.h"

namespace vp {

using PartTuple = std::tuple<int, int, int, int>;

[[noreturn]] inline void refuse(const std::string& message) { throw nb::value_error(message.c_str()); }

inline int weight_of(const char* name, double value) {
  if (!(value >= 0 && value <= 1)) refuse(std::string(name) + ": " + std::to_string(value) + "; allowed: 0 to 1");
  return static_cast<int>(std::lround(value * VP_ONE));
}

inline Part part_of(const Overlay& overlay, const std::optional<PartTuple>& given) {
  if (!given) return {0, 0, overlay.width(), overlay.height()};
  const auto [left, top, width, height] = *given;
  if (left < 0 || top < 0 || width < 0 || height < 0 || width > overlay.width() - left ||
      height > overlay.height() - top) {
    refuse("part: (" + std::to_string(left) + ", " + std::to_string(top) + ", " + std::to_string(width) + ", " +
           std::to_string(height) + "); allowed: (left, top, width, height) within the overlay's " +
           std::to_string(overlay.width()) + " columns and " + std::to_string(overlay.height()) + " rows");
  }
  return {left, top, width, height};
}

inline void check_place(const char* name, int64_t place) {
  if (place < -kLongestSide || place > kLongestSide) {
    refuse(std::string(name) + ": " + std::to_string(place) + "; allowed: -1000000 to 1000000");
  }
}

inline void check_step(const char* name, double step) {
  if (!(step > 0 && step <= kMaxStep)) {
    refuse(std::string(name) + ": " + std::to_string(step) + " source pixels; allowed: more than 0, up to 2");
  }
}

// Where a resampled view begins in its picture, and the source pixels for each output pixel.
inline void check_view(double left, double top, double step_x, double step_y) {
  for (const auto& [name, place] : {std::pair("left", left), std::pair("top", top)}) {
    if (!(std::abs(place) < 1e6)) {
      refuse(std::string(name) + ": " + std::to_string(place) + "; allowed: a place within 1e6");
    }
  }
  check_step("step_x", step_x);
  check_step("step_y", step_y);
}

inline const TransitionRecord& transition_record(const std::string& name) {
  const TransitionRecord* record = find_transition(name);
  if (record) return *record;
  std::string message = "name: got '" + name + "'; allowed: ";
  for (const TransitionRecord& known : kTransitionRecords) {
    message += (&known == kTransitionRecords ? "" : ", ") + std::string(known.name);
  }
  refuse(message);
}

}  // namespace vp
