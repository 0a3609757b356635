// What one instruction set does with rows of pixels. Each target fills one table; dispatch.cpp picks one.
#pragma once

#include <cstddef>
#include <cstdint>

#include "pixel/transitions.h"

namespace vp {

constexpr int kBlock = 16;          // outputs of a row that are planned together
constexpr int kLane = 8;            // outputs that read the same 16 bytes of the source
constexpr int kMaxTaps = 8;
constexpr int kWeightBits = 15;     // the weights of an output sum to 1 << kWeightBits, and each is less
constexpr int kFractionBits = 7;    // of the rows between the two passes, whose values count from 128
constexpr int kRowBatch = 4;        // source rows that go through the horizontal pass together

// How many taps of each of a lane's outputs lie in the same 16 bytes, and how far in the first of them may be. Steps
// of up to 1.1, 1.65 and 2, which take 4, 6 and 8 taps, keep the outputs so close together.
constexpr int taps_a_load(int taps) { return taps == kMaxTaps ? 2 : 4; }
constexpr int furthest_place(int taps) { return 16 - taps_a_load(taps); }

// How a row is resampled: 4, 6 or 8 taps, each a byte further. `places` says which of the bytes from a lane's base on
// is an output's first tap, as a byte shuffle that lays it in the upper half of 16 bits.
struct AcrossPlan {
  int blocks = 0;
  int taps = 0;
  const int32_t* base = nullptr;     // [blocks][kBlock / kLane]
  const uint16_t* places = nullptr;  // [blocks][kBlock]
  const int16_t* weights = nullptr;  // [blocks][taps][kBlock]
};

struct Rows {
  const char* name;
  // kRowBatch rows of bytes, or one, into rows of blocks * kBlock values; strides in bytes and in values.
  void (*resample_across)(const AcrossPlan& plan, const uint8_t* source, ptrdiff_t source_stride, int16_t* target,
                          ptrdiff_t target_stride, int count);
  // `taps` rows of such values into row number `row` of bytes, dithered by its place; `width` values. `lost` is added
  // to every sum, in steps of its fraction.
  void (*resample_down)(const int16_t* const* sources, const int16_t* weights, int taps, int lost, uint8_t* target,
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
// Choose a table by name ("auto" for the best); false if it cannot be used here.
bool force_target(const char* name);

}  // namespace vp
