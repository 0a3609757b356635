// Python bindings of grades.
#include "arguments.h"
#include "cpu/grade.h"
#include "planes.h"

namespace vp {

void bind_grade(nb::module_& module);

namespace {

using LutArray = nb::ndarray<const double, nb::ndim<4>, nb::c_contig, nb::device::cpu>;

constexpr size_t kLeastSide = 2, kMostSide = 256;

void check_lut(const LutArray& table) {
  const size_t size = table.shape(0);
  if (size < kLeastSide || size > kMostSide || table.shape(1) != size || table.shape(2) != size || table.shape(3) != 3) {
    refuse("table: an array of shape (" + std::to_string(size) + ", " + std::to_string(table.shape(1)) + ", " +
           std::to_string(table.shape(2)) + ", " + std::to_string(table.shape(3)) +
           "); allowed: (size, size, size, 3) with a size from 2 to 256");
  }
  for (size_t index = 0; index < table.size(); ++index) {
    const double value = table.data()[index];
    if (!(value >= 0 && value <= 1)) refuse("table: a value of " + std::to_string(value) + "; allowed: 0 to 1");
  }
}

}  // namespace

void bind_grade(nb::module_& module) {
  nb::class_<FrameGrade>(module, "FrameGrade", "A 3D LUT for 4:2:0 frames in BT.709, limited range.")
      .def(
          "__init__",
          [](FrameGrade* place, const LutArray& table) {
            check_lut(table);
            nb::gil_scoped_release unlocked;
            new (place) FrameGrade(table.data(), static_cast<int>(table.shape(0)));
          },
          nb::arg("table").noconvert())
      .def(
          "apply",
          [](const FrameGrade& grade, const SourceFrame& source, const TargetFrame& target) {
            const Frame<ConstPlane> from = source_frame(source, "source");
            const Frame<Plane> to = target_frame(target, "target");
            if (to.width() != from.width() || to.height() != from.height()) {
              refuse("target: Y is (" + std::to_string(to.height()) + ", " + std::to_string(to.width()) +
                     "); allowed: (" + std::to_string(from.height()) + ", " + std::to_string(from.width()) +
                     "), the size of source");
            }
            for (const Plane& plane : to.planes) {
              for (const ConstPlane& read : from.planes) refuse_shared(plane, read, "target", "source");
            }
            nb::gil_scoped_release unlocked;
            grade.apply(from.planes, to.planes);
          },
          nb::arg("source").noconvert(), nb::arg("target").noconvert());
}

}  // namespace vp
