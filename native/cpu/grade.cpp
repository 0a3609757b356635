#include "cpu/grade.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "cpu/rows.h"

namespace vp {
namespace {

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

}  // namespace

FrameGrade::FrameGrade(const double* values, int size) : changes_(changes_colours({values, size})) {
  if (!changes_) return;
  constexpr size_t all = static_cast<size_t>(kGradeCells) * kGradeCells * kCellKnots;
  luma_.resize(all);
  chroma_.resize(all);
  for (int v = 0; v <= kGradeCells; ++v) {
    for (int u = 0; u <= kGradeCells; ++u) set_knots({values, size}, u, v);
  }
}

void FrameGrade::set_knots(const LutView& lut, int u, int v) {
  int16_t luma[256], blue[128], red[128];
  for (int y = 0; y < 256; y += 2) {
    const Yuv one = graded(lut, y, u * kGradeStep, v * kGradeStep);
    const Yuv two = graded(lut, y + 1, u * kGradeStep, v * kGradeStep);
    luma[y] = knot_of(one.y);
    luma[y + 1] = knot_of(two.y);
    blue[y / 2] = knot_of((one.u + two.u) / 2);
    red[y / 2] = knot_of((one.v + two.v) / 2);
  }
  // A knot belongs to the cells on its four sides.
  for (int next = 0; next < 4; ++next) {
    const int next_u = next / 2, next_v = next % 2, cell_u = u - next_u, cell_v = v - next_v;
    if (cell_u < 0 || cell_v < 0 || cell_u >= kGradeCells || cell_v >= kGradeCells) continue;
    const uint32_t cell = grade_cell(cell_u * kGradeStep, cell_v * kGradeStep);
    int16_t *lumas = luma_.data() + cell + next, *chromas = chroma_.data() + cell + 4 * next_u + next_v;
    for (int y = 0; y < 256; ++y) lumas[4 * y] = luma[y];
    for (int pair = 0; pair < 128; ++pair) {
      chromas[8 * pair] = blue[pair];
      chromas[8 * pair + 2] = red[pair];
    }
  }
}

void FrameGrade::apply(const ConstPlane* source, const Plane* target) const {
  if (!changes_) {
    for (int index = 0; index < 3; ++index) copy_plane(source[index], target[index]);
    return;
  }
  const Rows& kernels = rows();
  const ConstPlane &luma = source[0], &u = source[1], &v = source[2];
  std::vector<uint32_t> cells(2 * static_cast<size_t>(u.width));
  std::vector<uint16_t> shares(cells.size());
  const GradePlaces places{cells.data(), shares.data()};
  for (int row = 0; row < u.height; ++row) {
    const int next = 2 * row + 1 < luma.height ? 2 * row + 1 : 2 * row;  // a picture of odd height ends in one row
    kernels.grade_places(u.data + row * u.stride, v.data + row * v.stride, places, u.width);
    kernels.grade({luma_.data(), chroma_.data(), places, luma.data + 2 * row * luma.stride,
                   luma.data + next * luma.stride, target[0].data + 2 * row * target[0].stride,
                   target[0].data + next * target[0].stride, target[1].data + row * target[1].stride,
                   target[2].data + row * target[2].stride, luma.width});
  }
}

}  // namespace vp
