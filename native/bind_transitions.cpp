// Python bindings of the transitions, by name, on 4:2:0 planes.
#include <tuple>

#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include "arguments.h"
#include "cpu/transition.h"
#include "planes.h"

namespace vp {
namespace {

using SourcePlanes = std::tuple<SourceArray, SourceArray, SourceArray>;
using TargetPlanes = std::tuple<TargetArray, TargetArray, TargetArray>;

template <typename PlaneType>
std::string size_of(const PlaneType& plane) {
  return "(" + std::to_string(plane.height) + ", " + std::to_string(plane.width) + ")";
}

// Chroma is half of luma, rounded up, and the planes of `other` match those of `first` in size.
template <typename PlaneType>
void check_sizes(const char* name, const PlaneType (&planes)[3], const ConstPlane& luma) {
  const char* letters[3] = {"Y", "U", "V"};
  for (int index = 0; index < 3; ++index) {
    const ConstPlane wanted{nullptr, 0, index ? (luma.width + 1) / 2 : luma.width,
                            index ? (luma.height + 1) / 2 : luma.height};
    if (planes[index].width != wanted.width || planes[index].height != wanted.height) {
      throw nb::value_error((std::string(name) + ": " + letters[index] + " is " + size_of(planes[index]) +
                             "; allowed beside a first Y of " + size_of(luma) + ": " + size_of(wanted))
                                .c_str());
    }
  }
}

void bind_transition(const std::string& name, double progress, const SourcePlanes& first, const SourcePlanes& second,
                     const TargetPlanes& target) {
  const TransitionRecord& record = transition_record(name);
  if (!(progress >= 0 && progress <= 1)) {
    throw nb::value_error(("progress: " + std::to_string(progress) + "; allowed: 0 to 1").c_str());
  }
  const ConstPlane from[3] = {source_plane(std::get<0>(first), "first Y"), source_plane(std::get<1>(first), "first U"),
                              source_plane(std::get<2>(first), "first V")};
  const ConstPlane to[3] = {source_plane(std::get<0>(second), "second Y"),
                            source_plane(std::get<1>(second), "second U"),
                            source_plane(std::get<2>(second), "second V")};
  const Plane drawn[3] = {target_plane(std::get<0>(target), "target Y"), target_plane(std::get<1>(target), "target U"),
                          target_plane(std::get<2>(target), "target V")};
  if (from[0].width > kMaxTransitionSize || from[0].height > kMaxTransitionSize) {
    throw nb::value_error(("first: Y is " + size_of(from[0]) + "; allowed: up to " +
                           std::to_string(kMaxTransitionSize) + " rows and columns")
                              .c_str());
  }
  check_sizes("first", from, from[0]);
  check_sizes("second", to, from[0]);
  check_sizes("target", drawn, from[0]);
  for (const Plane& plane : drawn) {
    for (const ConstPlane& read : from) refuse_shared(plane, read, "target", "a picture");
    for (const ConstPlane& read : to) refuse_shared(plane, read, "target", "a picture");
    for (const Plane& other : drawn) {
      if (&other != &plane) refuse_shared(plane, other, "target", "another plane of it");
    }
  }
  nb::gil_scoped_release unlocked;
  transition(record, static_cast<float>(progress), from, to, drawn);
}

}  // namespace

void bind_transitions(nb::module_& module) {
  module.def("transition", bind_transition, nb::arg("name"), nb::arg("progress"), nb::arg("first").noconvert(),
             nb::arg("second").noconvert(), nb::arg("target").noconvert());
  module.def("transition_records", [] {
    nb::list list;
    for (const TransitionRecord& record : kTransitionRecords) {
      list.append(nb::make_tuple(record.name, record.description));
    }
    return list;
  });
}

}  // namespace vp
