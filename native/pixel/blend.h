// Fades towards a level, and pictures laid over a frame. A picture is premultiplied by its alpha.
//
// Products keep eight bits below the level (seven for signed chroma) and are rounded once, at the end; what is cut
// from them before is less than 1/64 of a level. All of it fits 16 bits, so that a row goes through a multiplier
// that keeps the high half.
#pragma once

#include "pixel/fixed.h"

// target + (level - target) * amount, where kept is VP_ONE - amount (1 to 65535) and added is vp_mix_added. Rows
// leave the target alone where amount is 0 and fill it where amount is VP_ONE.
VP_PIXEL uint16_t vp_mix_added(int32_t level, int32_t amount) {
  return static_cast<uint16_t>(((level * amount) >> 8) + 128);
}
VP_PIXEL uint8_t vp_mix_level(uint8_t target, uint16_t kept, uint16_t added) {
  return static_cast<uint8_t>(static_cast<uint16_t>(vp_high(vp_byte_above(target), kept) + added) >> 8);
}

// An opacity of 0 to VP_ONE as the formulas below take it.
VP_PIXEL uint16_t vp_opacity(int32_t opacity) { return static_cast<uint16_t>(vp_min(opacity, VP_ONE - 1)); }

// What an overlay leaves of the target, 65535 for all of it.
VP_PIXEL uint16_t vp_left_over(uint8_t alpha, uint16_t opacity) {
  return static_cast<uint16_t>(65535 - vp_high(static_cast<uint16_t>(alpha * 257), opacity));
}

// target + (level - target) * alpha / 255 * opacity, where picture is level * alpha / 255.
// Where alpha is 0, the target; where alpha and opacity are full, the picture.
VP_PIXEL uint8_t vp_blend_luma(uint8_t target, uint8_t picture, uint8_t alpha, uint16_t opacity) {
  const uint16_t above = vp_high(vp_byte_above(picture), opacity);
  const uint16_t below = vp_high(vp_byte_above(target), vp_left_over(alpha, opacity));
  return static_cast<uint8_t>(static_cast<uint16_t>(above + below + 128) >> 8);
}

// The same around 128, where picture is (level - 128) * alpha / 255: grey over grey stays grey, whatever the rounding.
VP_PIXEL uint8_t vp_blend_chroma(uint8_t target, int8_t picture, uint8_t alpha, uint16_t opacity) {
  const int16_t left = static_cast<int16_t>(vp_left_over(alpha, opacity) >> 1);
  const int16_t above = vp_high_signed(static_cast<int16_t>(picture * 256), static_cast<int16_t>(opacity >> 1));
  const int16_t below = vp_high_signed(static_cast<int16_t>((target - 128) * 256), left);
  const int16_t mixed = static_cast<int16_t>(static_cast<int16_t>(above + below + 64) >> 7);
  return static_cast<uint8_t>(vp_clamp(mixed, -128, 127) + 128);
}
