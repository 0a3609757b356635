// What one instruction set does with rows of pixels. Each target fills one table; dispatch.cpp picks one.
#pragma once

#include <cstddef>
#include <cstdint>

#include "pixel/transitions.h"

namespace vp {

// Lanes of four neighbouring outputs share one 16-byte load of the source row.
constexpr int kLane = 4;
constexpr int kMaxTaps = 8;
constexpr int kCoefficientBits = 14;  // coefficients sum to 1 << kCoefficientBits
constexpr int kFractionBits = 6;      // of the rows between the horizontal and the vertical pass
constexpr int kRowBatch = 4;          // source rows that go through the horizontal pass together

// How a row is resampled: for each lane the first byte it loads; for each lane and pair of taps, which two of
// the 16 bytes each output takes (as a byte shuffle that widens to 16 bits) and their coefficients.
struct HorizontalPlan {
  int lanes = 0;
  int pairs = 0;
  const int32_t* base = nullptr;         // [lanes]
  const uint8_t* shuffle = nullptr;      // [lanes / 2][pairs][2][16]
  const int16_t* coefficients = nullptr; // [lanes / 2][pairs][2][8]
};

struct Rows {
  const char* name;
  // `count` (1 to kRowBatch) source rows into rows of int16 with kFractionBits; lanes * kLane values each.
  void (*resample_across)(const HorizontalPlan& plan, const uint8_t* const* sources, int16_t* const* targets,
                          int count);
  // `taps` (even) rows of int16 into row number `row` of bytes, dithered by its place; `width` values.
  void (*resample_down)(const int16_t* const* sources, const int16_t* coefficients, int taps, uint8_t* target,
                        int width, int row);
  // Rows of one plane of a transition, the first of them at `target`; see pixel/transitions.h.
  void (*transition)(const TransitionFrame& frame, const TransitionPlane& plane, int first_row, int rows,
                     uint8_t* target, ptrdiff_t stride);
  // Rows of pixel/blend.h; amount and opacity 0 to 65536. `picture` is premultiplied by alpha (chroma: around 128).
  void (*mix_level)(uint8_t* target, int width, int level, int amount);
  void (*blend_luma)(uint8_t* target, const uint8_t* picture, const uint8_t* alpha, int width, int opacity);
  void (*blend_chroma)(uint8_t* target, const int8_t* picture, const uint8_t* alpha, int width, int opacity);
  // Rows of pixel/colour.h. A row of RGB into three planes; three planes into luma; the planes of two rows, readable
  // from one before to one past their ends, into `width` values of chroma.
  void (*split_rgb)(const uint8_t* rgb, uint8_t* const* planes, int width);
  void (*luma)(const uint8_t* const* planes, uint8_t* target, int width);
  void (*chroma)(const uint8_t* const* one, const uint8_t* const* two, uint8_t* target_u, uint8_t* target_v,
                 int width);
};

const Rows& baseline_rows();
const Rows& avx2_rows();
const Rows& avx512_rows();

// The table in use: the best that this processor runs, or the one that was forced.
const Rows& rows();
// Names of the tables that this build holds and this processor runs, from the plainest on.
int usable_targets(const char** names, int capacity);
// Choose a table by name ("auto" for the best); false where it cannot be used here.
bool force_target(const char* name);

}  // namespace vp
