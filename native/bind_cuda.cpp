// Python bindings of the plans for the CUDA kernels. Addresses are whole numbers: the GPU's memory is not touched here.
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include <cmath>

#include "arguments.h"
#include "cuda/plan.h"
#include "planes.h"

namespace vp {

void bind_cuda(nb::module_& module);

namespace {

using Bytes = nb::ndarray<uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

void check_side(const char* name, int value) {
  if (value < 1 || value > kMaxTransitionSize) {
    refuse(std::string(name) + ": " + std::to_string(value) + "; allowed: 1 to " + std::to_string(kMaxTransitionSize));
  }
}

CudaPlan* make_plan(const Bytes& memory, uint64_t address, int width, int height) {
  check_side("width", width);
  check_side("height", height);
  return new CudaPlan(memory.data(), memory.shape(0), address, width, height);
}

}  // namespace

void bind_cuda(nb::module_& module) {
  module.def(
      "pack_overlay",
      [](const Overlay& overlay, bool x_odd, bool y_odd) {
        auto* bytes = new std::vector<uint8_t>(packed_overlay_bytes(overlay, x_odd, y_odd));
        nb::capsule owner(bytes, [](void* held) noexcept { delete static_cast<std::vector<uint8_t>*>(held); });
        pack_overlay(overlay, x_odd, y_odd, bytes->data());
        return nb::ndarray<nb::numpy, uint8_t, nb::ndim<1>>(bytes->data(), {bytes->size()}, owner);
      },
      nb::arg("overlay"), nb::kw_only(), nb::arg("x_odd"), nb::arg("y_odd"));
  nb::class_<CudaPlan>(module, "CudaPlan", "The frames of a launch of the CUDA kernels.")
      .def(nb::new_(&make_plan), nb::arg("memory").noconvert(), nb::kw_only(), nb::arg("address"), nb::arg("width"),
           nb::arg("height"), nb::keep_alive<0, 1>())
      .def_static("frame_bytes", &CudaPlan::frame_bytes, nb::kw_only(), nb::arg("width"), nb::arg("height"),
                  nb::arg("layers"))
      .def("clear", &CudaPlan::clear)
      .def("begin", &CudaPlan::begin, nb::kw_only(), nb::arg("target"), nb::arg("stride"), nb::arg("interleaved"))
      .def(
          "still",
          [](CudaPlan& plan, uint64_t planes, int width, int height, double left, double top, double step_x,
             double step_y, double fade) {
            if (width < 1 || height < 1 || width > kLongestSide || height > kLongestSide) {
              refuse("size: " + std::to_string(width) + "x" + std::to_string(height) + "; allowed: 1 to 1000000");
            }
            check_view(left, top, step_x, step_y);
            plan.still(planes, width, height, left, top, step_x, step_y, weight_of("fade", fade), false);
          },
          nb::arg("planes"), nb::kw_only(), nb::arg("width"), nb::arg("height"), nb::arg("left"), nb::arg("top"),
          nb::arg("step_x"), nb::arg("step_y"), nb::arg("fade") = 0.0)
      .def(
          "copy",
          [](CudaPlan& plan, uint64_t planes, double fade) { plan.copy(planes, weight_of("fade", fade), false); },
          nb::arg("planes"), nb::kw_only(), nb::arg("fade") = 0.0)
      .def(
          "transition",
          [](CudaPlan& plan, const std::string& name, double progress, uint64_t scratch) {
            if (!(progress >= 0 && progress <= 1)) {
              refuse("progress: " + std::to_string(progress) + "; allowed: 0 to 1");
            }
            plan.transition(transition_record(name), static_cast<float>(progress), scratch);
          },
          nb::arg("name"), nb::arg("progress"), nb::kw_only(), nb::arg("scratch"))
      .def(
          "layer",
          [](CudaPlan& plan, uint64_t packed, const Overlay& overlay, int64_t x, int64_t y, double opacity,
             const std::optional<PartTuple>& part) {
            check_place("x", x);
            check_place("y", y);
            plan.layer(packed, overlay, static_cast<int>(x), static_cast<int>(y), weight_of("opacity", opacity),
                       part_of(overlay, part));
          },
          nb::arg("packed"), nb::arg("overlay"), nb::kw_only(), nb::arg("x"), nb::arg("y"), nb::arg("opacity") = 1.0,
          nb::arg("part") = nb::none())
      .def("end", &CudaPlan::end)
      .def("launches", [](CudaPlan& plan) {
        nb::list list;
        for (const CudaLaunch& launch : plan.launches()) {
          list.append(nb::make_tuple(launch.kernel, nb::make_tuple(launch.grid[0], launch.grid[1], launch.grid[2]),
                                     launch.frames));
        }
        return list;
      })
      .def_prop_ro("used_bytes", &CudaPlan::used_bytes);
}

}  // namespace vp
