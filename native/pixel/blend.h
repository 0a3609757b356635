// Fades towards a level, and pictures blended over a frame. A picture is premultiplied by its alpha.
//
// Products keep eight fraction bits (seven for signed chroma) and are rounded once, at the end; earlier truncation
// loses less than 1/64 of a level. All values fit 16 bits, so a row can use a multiplier that
// keeps the high half.
#pragma once

#include "pixel/fixed.h"

// target + (level - target) * amount, with kept = VP_ONE - amount (1 to 65535) and added = vp_mix_added. Row
// functions leave the target unchanged if amount is 0 and fill it if amount is VP_ONE.
VP_PIXEL uint16_t vp_mix_added(int32_t level, int32_t amount) {
  return static_cast<uint16_t>(((level * amount) >> 8) + 128);
}
VP_PIXEL uint8_t vp_mix_level(uint8_t target, uint16_t kept, uint16_t added) {
  return static_cast<uint8_t>(static_cast<uint16_t>(vp_high(vp_byte_above(target), kept) + added) >> 8);
}

// Convert an opacity of 0 to VP_ONE for the formulas below.
VP_PIXEL uint16_t vp_opacity(int32_t opacity) { return static_cast<uint16_t>(vp_min(opacity, VP_ONE - 1)); }

// The share of the target that an overlay keeps; 65535 is all of it.
VP_PIXEL uint16_t vp_left_over(uint8_t alpha, uint16_t opacity) {
  return static_cast<uint16_t>(65535 - vp_high(static_cast<uint16_t>(alpha * 257), opacity));
}

// target + (level - target) * alpha / 255 * opacity, with picture = level * alpha / 255.
// If alpha is 0, this is the target; if alpha and opacity are full, the picture.
VP_PIXEL uint8_t vp_blend_luma(uint8_t target, uint8_t picture, uint8_t alpha, uint16_t opacity) {
  const uint16_t above = vp_high(vp_byte_above(picture), opacity);
  const uint16_t below = vp_high(vp_byte_above(target), vp_left_over(alpha, opacity));
  return static_cast<uint8_t>(static_cast<uint16_t>(above + below + 128) >> 8);
}

// The same around 128, with picture = (level - 128) * alpha / 255: grey over grey stays grey despite rounding.
VP_PIXEL uint8_t vp_blend_chroma(uint8_t target, int8_t picture, uint8_t alpha, uint16_t opacity) {
  const int16_t left = static_cast<int16_t>(vp_left_over(alpha, opacity) >> 1);
  const int16_t above = vp_high_signed(static_cast<int16_t>(picture * 256), static_cast<int16_t>(opacity >> 1));
  const int16_t below = vp_high_signed(static_cast<int16_t>((target - 128) * 256), left);
  const int16_t mixed = static_cast<int16_t>(static_cast<int16_t>(above + below + 64) >> 7);
  return static_cast<uint8_t>(vp_clamp(mixed, -128, 127) + 128);
}
