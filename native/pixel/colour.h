// RGB to BT.709, limited range. ITU-R BT.709-6, items 3.2 to 3.5: luma is 16 + 219 * (0.2126 R + 0.7152 G + 0.0722 B),
// chroma 128 + 224 * (B - luma) / 1.8556 and 128 + 224 * (R - luma) / 1.5748, with R, G, B from 0 to 1.
#pragma once

#include "pixel/fixed.h"

// Weights in 1/65536 of a level for each level of R, G, B. The chroma weights sum to 0, so grey has no colour.
#define VP_LUMA_RED 11966
#define VP_LUMA_GREEN 40254
#define VP_LUMA_BLUE 4064
#define VP_CHROMA_MOST 28784  // weight of B in U and of R in V
#define VP_U_RED 6596
#define VP_U_GREEN 22188
#define VP_V_GREEN 26145
#define VP_V_BLUE 2639

// Luma in 1/256 of a level.
VP_PIXEL uint16_t vp_luma_256(uint8_t red, uint8_t green, uint8_t blue) {
  return static_cast<uint16_t>(vp_high(vp_byte_above(red), VP_LUMA_RED) +
                               vp_high(vp_byte_above(green), VP_LUMA_GREEN) +
                               vp_high(vp_byte_above(blue), VP_LUMA_BLUE) + 16 * 256 + 1);
}

VP_PIXEL uint8_t vp_luma(uint8_t red, uint8_t green, uint8_t blue) {
  return static_cast<uint8_t>(static_cast<uint16_t>(vp_luma_256(red, green, blue) + 128) >> 8);
}

// A 4:2:0 chroma sample lies on an even column (H.264's default position: left), halfway between two rows. These
// are its weights along a row; over two rows they sum to 8.
VP_PIXEL int32_t vp_chroma_sum(int32_t left, int32_t middle, int32_t right) { return left + 2 * middle + right; }

// Chroma from such sums, 0 to 8 * 255 in each channel.
VP_PIXEL uint8_t vp_chroma(uint16_t most, uint16_t one, uint16_t weight_one, uint16_t other, uint16_t weight_other) {
  const uint16_t colour = static_cast<uint16_t>(vp_high(static_cast<uint16_t>(most << 5), VP_CHROMA_MOST) -
                                                vp_high(static_cast<uint16_t>(one << 5), weight_one) -
                                                vp_high(static_cast<uint16_t>(other << 5), weight_other));
  return static_cast<uint8_t>(static_cast<uint16_t>(colour + 128 * 256 + 128) >> 8);
}
VP_PIXEL uint8_t vp_chroma_u(uint16_t red, uint16_t green, uint16_t blue) {
  return vp_chroma(blue, red, VP_U_RED, green, VP_U_GREEN);
}
VP_PIXEL uint8_t vp_chroma_v(uint16_t red, uint16_t green, uint16_t blue) {
  return vp_chroma(red, green, VP_V_GREEN, blue, VP_V_BLUE);
}
