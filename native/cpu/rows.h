// Functions on rows of pixels. Each instruction set fills one table; dispatch.cpp picks one.
#pragma once

#include <cstddef>
#include <cstdint>

#include "pixel/resample.h"
#include "pixel/transitions.h"

namespace vp {

constexpr int kBlock = VP_LINE_BLOCK;  // outputs of a row that are planned together
constexpr int kLane = 8;            // adjacent outputs that read the same 16 bytes of the source
constexpr int kMaxTaps = VP_MOST_TAPS;
constexpr int kWeightBits = VP_TAP_BITS;
constexpr int kFractionBits = VP_SUM_BITS;
constexpr int kRowBatch = 4;        // source rows that go through the horizontal pass together

// How many taps of each output of a lane are in one 16-byte load, and the largest offset of the first of them. Steps
// up to 1.1, 1.65 and 2, with 4, 6 and 8 taps, keep a lane's outputs within that range.
constexpr int taps_a_load(int taps) { return taps == kMaxTaps ? 2 : 4; }
constexpr int furthest_place(int taps) { return 16 - taps_a_load(taps); }

// Plan for resampling a row with 4, 6 or 8 adjacent taps. `places` has the offset of each output's first tap from its
// lane's base, as a byte shuffle mask that moves the tap into the upper half of 16 bits.
struct AcrossPlan {
  int blocks = 0;
  int taps = 0;
  const int32_t* base = nullptr;     // [blocks][kBlock / kLane]
  const uint16_t* places = nullptr;  // [blocks][kBlock]
  const int16_t* weights = nullptr;  // [blocks][taps][kBlock]
};

// Where the chroma of columns of luma lies among the knots; see pixel/grade.h.
struct GradePlaces {
  uint32_t* cells;
  uint16_t* shares;
};

// Two rows of luma and the row of chroma that they share, to be graded.
struct GradeRows {
  const int16_t *luma, *chroma;  // knots
  GradePlaces places;
  const uint8_t *one, *two;
  uint8_t *to_one, *to_two, *to_u, *to_v;
  int width;
};

struct Rows {
  const char* name;
  // Resample kRowBatch rows of bytes, or one, into rows of blocks * kBlock values; strides in bytes and in values.
  void (*resample_across)(const AcrossPlan& plan, const uint8_t* source, ptrdiff_t source_stride, int16_t* target,
                          ptrdiff_t target_stride, int count);
  // Resample `taps` rows of such values into one row of `width` bytes, dithered by position; `row` is the row's number.
  // `lost` is added to every sum, in units of its fraction.
  void (*resample_down)(const int16_t* const* sources, const int16_t* weights, int taps, int lost, uint8_t* target,
                        int width, int row);
  // Draw rows of one plane of a transition, the first at `target`; see pixel/transitions.h.
  void (*transition)(const TransitionFrame& frame, const TransitionPlane& plane, int first_row, int rows,
                     uint8_t* target, ptrdiff_t stride);
  // Formulas of pixel/blend.h; amount and opacity 0 to 65536. `picture` is premultiplied by alpha (chroma: minus 128).
  void (*mix_level)(uint8_t* target, int width, int level, int amount);
  void (*blend_luma)(uint8_t* target, const uint8_t* picture, const uint8_t* alpha, int width, int opacity);
  void (*blend_chroma)(uint8_t* target, const int8_t* picture, const uint8_t* alpha, int width, int opacity);
  // Formulas of pixel/colour.h: a row of RGB into three planes; three planes into luma; planes of two rows, readable
  // one byte before and after their ends, into `width` chroma values.
  void (*split_rgb)(const uint8_t* rgb, uint8_t* const* planes, int width);
  void (*luma)(const uint8_t* const* planes, uint8_t* target, int width);
  void (*chroma)(const uint8_t* const* one, const uint8_t* const* two, uint8_t* target_u, uint8_t* target_v,
                 int width);
  // Set the places of the columns of luma from a row of chroma, two for each of its samples. Samples lie on even columns
  // (H.264's default position); a column between two has their mean, and the last has its neighbour's.
  void (*grade_places)(const uint8_t* u, const uint8_t* v, const GradePlaces& places, int width);
  // Grade rows: luma with the chroma of its column, chroma with the mean of the luma pixels that it covers.
  void (*grade)(const GradeRows& rows);
};

const Rows& baseline_rows();
const Rows& avx2_rows();
const Rows& avx512_rows();

// Return the table in use: the best for this processor, or the forced one.
const Rows& rows();
// Return the names of the tables in this build that this processor can run, from the most basic up.
int usable_targets(const char** names, int capacity);
// Choose a table by name ("auto" for the best); return false if this processor or build lacks it.
bool force_target(const char* name);

}  // namespace vp
