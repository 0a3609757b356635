// The row functions of one target. A file that defines VP_TARGET (its name) and VP_TABLE (the table's function)
// includes this once; everything except that function has internal linkage.
#include "cpu/rows.h"

#include "cpu/blend_rows.inl"
#include "cpu/colour_rows.inl"
#include "cpu/grade_rows.inl"
#include "cpu/resample_rows.inl"
#include "cpu/transition_rows.inl"

namespace vp {

const Rows& VP_TABLE() {
  static constexpr Rows table = {
      VP_TARGET,        resample_across_rows, resample_down_rows, transition_rows, mix_level_row,
      blend_luma_row,   blend_chroma_row,     split_rgb_row,      luma_row,       chroma_row,
      grade_places_row, grade_two_rows,
  };
  return table;
}

}  // namespace vp
