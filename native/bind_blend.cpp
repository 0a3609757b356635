// Python bindings of fades, colour conversion and overlays.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "arguments.h"
#include "cpu/rows.h"
#include "overlay.h"
#include "pixel/fixed.h"
#include "planes.h"

namespace vp {

void bind_blend(nb::module_& module);

namespace {

using PixelArray = nb::ndarray<const uint8_t, nb::ndim<3>, nb::device::cpu>;

std::string shape_of(size_t height, size_t width) {
  return "(" + std::to_string(height) + ", " + std::to_string(width) + ")";
}

struct Pixels {
  const uint8_t* data;
  ptrdiff_t stride;
  int width, height;
};

Pixels pixels_of(const PixelArray& array, const char* name, size_t channels) {
  if (array.shape(2) != channels || array.shape(0) < 1 || array.shape(1) < 1 || array.shape(0) > kLongestSide ||
      array.shape(1) > kLongestSide) {
    refuse(std::string(name) + ": an array of shape (" + std::to_string(array.shape(0)) + ", " +
           std::to_string(array.shape(1)) + ", " + std::to_string(array.shape(2)) +
           "); allowed: rows and columns from 1 to 1000000, and " + std::to_string(channels) + " channels");
  }
  const auto pixel = static_cast<int64_t>(channels);
  if (array.stride(2) != 1 || (array.shape(1) > 1 && array.stride(1) != pixel)) {
    refuse(std::string(name) + ": pixels " + std::to_string(array.stride(1)) + " bytes apart, channels " +
           std::to_string(array.stride(2)) + "; allowed: " + std::to_string(channels) + " and 1");
  }
  return {array.data(), static_cast<ptrdiff_t>(array.stride(0)), static_cast<int>(array.shape(1)),
          static_cast<int>(array.shape(0))};
}

void fade(const Frame<Plane>& frame, int amount, bool to_white) {
  const Rows& table = rows();
  for (int index = 0; index < 3; ++index) {
    const Plane& plane = frame.planes[index];
    const int level = index > 0 ? 128 : (to_white ? 235 : 16);
    for (int row = 0; row < plane.height; ++row) {
      table.mix_level(plane.data + row * plane.stride, plane.width, level, amount);
    }
  }
}

// Two rows of an RGB picture as byte planes; each line repeats its first and last pixel once.
class SplitRows {
 public:
  explicit SplitRows(const Pixels& rgb) : rgb_(rgb), line_(rgb.width + 2), bytes_(6 * static_cast<size_t>(line_)) {}

  void split(int row, int slot) {
    uint8_t* planes[3];
    for (int channel = 0; channel < 3; ++channel) {
      planes[channel] = bytes_.data() + static_cast<size_t>(3 * slot + channel) * line_ + 1;
      lines_[slot][channel] = planes[channel];
    }
    rows().split_rgb(rgb_.data + row * rgb_.stride, planes, rgb_.width);
    for (uint8_t* plane : planes) {
      plane[-1] = plane[0];
      plane[rgb_.width] = plane[rgb_.width - 1];
    }
  }
  const uint8_t* const* planes(int slot) const { return lines_[slot]; }

 private:
  Pixels rgb_;
  int line_;
  std::vector<uint8_t> bytes_;
  const uint8_t* lines_[2][3];
};

void rgb_to_yuv(const Pixels& rgb, const Frame<Plane>& frame) {
  const Rows& table = rows();
  const Plane &luma = frame.planes[0], &u = frame.planes[1], &v = frame.planes[2];
  SplitRows split(rgb);
  for (int row = 0; row < u.height; ++row) {
    const int count = std::min(2, rgb.height - 2 * row);
    for (int slot = 0; slot < count; ++slot) {
      split.split(2 * row + slot, slot);
      table.luma(split.planes(slot), luma.data + (2 * row + slot) * luma.stride, rgb.width);
    }
    table.chroma(split.planes(0), split.planes(count - 1), u.data + row * u.stride, v.data + row * v.stride, u.width);
  }
}

template <typename Value>
nb::ndarray<nb::numpy, Value> array_of(const std::vector<Value>& values, int width, int height) {
  auto* copy = new std::vector<Value>(values);
  nb::capsule owner(copy, [](void* held) noexcept { delete static_cast<std::vector<Value>*>(held); });
  return nb::ndarray<nb::numpy, Value>(copy->data(), {static_cast<size_t>(height), static_cast<size_t>(width)}, owner);
}

void bind_overlay(nb::module_& module) {
  nb::class_<Overlay>(module, "Overlay", "A picture with transparency, ready to be laid over frames.")
      .def(
          "__init__",
          [](Overlay* place, const PixelArray& rgba) {
            const Pixels pixels = pixels_of(rgba, "rgba", 4);
            nb::gil_scoped_release unlocked;
            new (place) Overlay(pixels.data, pixels.stride, pixels.width, pixels.height);
          },
          nb::arg("rgba").noconvert())
      .def_prop_ro("width", &Overlay::width)
      .def_prop_ro("height", &Overlay::height)
      .def(
          "planes",
          [](const Overlay& overlay, bool x_odd, bool y_odd) {
            const ChromaPlanes& chroma = overlay.chroma(x_odd, y_odd);
            return nb::make_tuple(array_of(overlay.luma().picture, overlay.width(), overlay.height()),
                                  array_of(chroma.u, chroma.width, chroma.height),
                                  array_of(chroma.v, chroma.width, chroma.height),
                                  array_of(overlay.luma().alpha, overlay.width(), overlay.height()),
                                  array_of(chroma.alpha, chroma.width, chroma.height));
          },
          nb::kw_only(), nb::arg("x_odd") = false, nb::arg("y_odd") = false,
          "Copies of the premultiplied planes: luma, U and V around 0, alpha, alpha of the chroma samples.");
  module.def(
      "blend",
      [](const TargetFrame& target, const Overlay& overlay, int64_t x, int64_t y, double opacity,
         const std::optional<PartTuple>& part) {
        const Frame<Plane> frame = target_frame(target, "target");
        check_place("x", x);
        check_place("y", y);
        const int weight = weight_of("opacity", opacity);
        const Part drawn = part_of(overlay, part);
        nb::gil_scoped_release unlocked;
        overlay.blend(frame.planes, static_cast<int>(x), static_cast<int>(y), weight, drawn);
      },
      nb::arg("target").noconvert(), nb::arg("overlay"), nb::kw_only(), nb::arg("x"), nb::arg("y"),
      nb::arg("opacity") = 1.0, nb::arg("part") = nb::none());
}

}  // namespace

void bind_blend(nb::module_& module) {
  module.def(
      "fade",
      [](const TargetFrame& target, double amount, const std::string& level) {
        const Frame<Plane> frame = target_frame(target, "target");
        const int weight = weight_of("amount", amount);
        const bool to_white = level == "white";
        if (!to_white && level != "black") {
          refuse("level: '" + level + "'; allowed: 'black', 'white'");
        }
        nb::gil_scoped_release unlocked;
        fade(frame, weight, to_white);
      },
      nb::arg("target").noconvert(), nb::kw_only(), nb::arg("amount"), nb::arg("level") = "black");
  module.def(
      "rgb_to_yuv",
      [](const PixelArray& rgb, const TargetFrame& target) {
        const Pixels pixels = pixels_of(rgb, "rgb", 3);
        const Frame<Plane> frame = target_frame(target, "target");
        if (frame.planes[0].width != pixels.width || frame.planes[0].height != pixels.height) {
          refuse("target[0]: an array of shape " + shape_of(frame.planes[0].height, frame.planes[0].width) +
                 "; allowed: " + shape_of(pixels.height, pixels.width) + ", the size of rgb");
        }
        const ConstPlane read{pixels.data, pixels.stride, 3 * pixels.width, pixels.height};
        for (const Plane& plane : frame.planes) refuse_shared(plane, read, "target", "rgb");
        nb::gil_scoped_release unlocked;
        rgb_to_yuv(pixels, frame);
      },
      nb::arg("rgb").noconvert(), nb::arg("target").noconvert());
  bind_overlay(module);
}

}  // namespace vp
