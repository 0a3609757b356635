// The extension module native._core. Its functions take NumPy arrays and run without the GIL.
#include <nanobind/stl/string.h>

#include <string>

#include "arguments.h"
#include "cpu/rows.h"
#include "planes.h"

namespace vp {

void bind_blend(nb::module_& module);
void bind_cuda(nb::module_& module);
void bind_grade(nb::module_& module);
void bind_transitions(nb::module_& module);

namespace {

void bind_targets(nb::module_& module) {
  module.def("usable_targets", [] {
    const char* names[8];
    const int count = usable_targets(names, 8);
    nb::list list;
    for (int index = 0; index < count; ++index) list.append(names[index]);
    return list;
  });
  module.def("active_target", [] { return rows().name; });
  module.def(
      "force_target",
      [](const std::string& name) {
        if (name.find('\0') != std::string::npos || !force_target(name.c_str())) {
          throw nb::value_error(("target '" + name + "' cannot be used here").c_str());
        }
      },
      nb::arg("name"));
}

void bind_resample(nb::module_& module) {
  module.attr("MAX_STEP") = kMaxStep;
  module.attr("FEWEST_TAPS_STEP") = kFewestTapsStep;
  module.def(
      "resample",
      [](const SourceArray& source, const TargetArray& target, double left, double top, double step_x,
         double step_y) {
        const ConstPlane from = source_plane(source, "source");
        const Plane to = target_plane(target, "target");
        check_view(left, top, step_x, step_y);
        refuse_shared(to, from, "target", "source");
        nb::gil_scoped_release unlocked;
        resample(&from, &to, 1, left, top, step_x, step_y);
      },
      nb::arg("source").noconvert(), nb::arg("target").noconvert(), nb::kw_only(), nb::arg("left"), nb::arg("top"), nb::arg("step_x"),
      nb::arg("step_y"));
  module.def(
      "resample_frame",
      [](const SourceFrame& source, const TargetFrame& target, double left, double top, double step_x,
         double step_y) {
        const Frame<ConstPlane> from = source_frame(source, "source");
        const Frame<Plane> to = target_frame(target, "target");
        check_view(left, top, step_x, step_y);
        for (const Plane& plane : to.planes) {
          for (const ConstPlane& read : from.planes) refuse_shared(plane, read, "target", "source");
        }
        nb::gil_scoped_release unlocked;
        resample(&from.planes[0], &to.planes[0], 1, left, top, step_x, step_y);
        resample(&from.planes[1], &to.planes[1], 2, chroma_left(left, step_x), chroma_top(top), step_x, step_y);
      },
      nb::arg("source").noconvert(), nb::arg("target").noconvert(), nb::kw_only(), nb::arg("left"), nb::arg("top"),
      nb::arg("step_x"), nb::arg("step_y"));
}

}  // namespace

NB_MODULE(_core, module) {
  bind_targets(module);
  bind_resample(module);
  bind_blend(module);
  bind_transitions(module);
  bind_cuda(module);
  bind_grade(module);
}

}  // namespace vp
