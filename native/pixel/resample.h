// Resampling, one value at a time: bytes across into sums, then sums down into bytes.
#pragma once

#include "pixel/fixed.h"

#define VP_TAP_BITS 15  // the weights of an output sum to 1 << VP_TAP_BITS; each is less
#define VP_SUM_BITS 7   // fraction bits of the sums between the two passes, which are offset by -128
#define VP_DOWN_BITS (VP_SUM_BITS + VP_TAP_BITS - 16)  // fraction bits of the last sum

#define VP_FEWEST_TAPS 4
#define VP_MOST_TAPS 8
#define VP_LINE_BLOCK 16  // outputs of a line whose weights are stored together: [blocks][taps][VP_LINE_BLOCK]

// A tap's share of a sum. Both passes keep the upper half of each product.
VP_PIXEL int32_t vp_tap_across(uint8_t value, int16_t weight) {
  return ((static_cast<int32_t>(value) - 128) * (1 << (VP_SUM_BITS + 16 - VP_TAP_BITS)) * weight) >> 16;
}
VP_PIXEL int32_t vp_tap_down(int16_t sum, int16_t weight) { return (static_cast<int32_t>(sum) * weight) >> 16; }

// What the upper halves have lost of a row's sums, whole units; `lost` is in half units.
VP_PIXEL int32_t vp_lost(int32_t lost, int32_t row) { return (lost + 1 - (row & 1)) / 2; }

// Added before the fraction is truncated: thresholds of a 2x2 ordered dither, 1/8 to 7/8 of a level. Plain rounding
// has the same error over a whole gradient, which makes shapes tremble in a slow move (and shows bands in a fade).
// Values without a fraction do not change.
VP_PIXEL int32_t vp_threshold(int32_t row, int32_t column) {
  const int32_t eighths = row & 1 ? (column & 1 ? 3 : 7) : (column & 1 ? 5 : 1);
  return eighths << (VP_DOWN_BITS - 3);
}

// The last sum before its first tap, and the byte after its last; `lost` is in whole units.
VP_PIXEL int32_t vp_down_start(int32_t lost, int32_t row, int32_t column) {
  return (128 << VP_DOWN_BITS) + lost + vp_threshold(row, column);
}
VP_PIXEL uint8_t vp_down_end(int32_t sum) { return static_cast<uint8_t>(vp_clamp(sum >> VP_DOWN_BITS, 0, 255)); }
