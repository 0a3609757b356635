// Transitions that mix the pictures with a weight that depends on place and progress.
#pragma once

#include "pixel/transitions.h"

// The smoothstep 3t² - 2t³ of a value with VP_LINE_BITS, clamped to 0 to 1; 30 fraction bits.
VP_PIXEL int32_t vp_smooth_fine(int32_t value) {
  const int32_t t = vp_clamp(value, 0, 1 << VP_LINE_BITS) >> (VP_LINE_BITS - 15);
  return ((t * t) >> 15) * (3 * 32768 - 2 * t);
}

VP_PIXEL int32_t vp_smooth(int32_t value) { return (vp_smooth_fine(value) + (1 << 15)) >> 16; }

VP_PIXEL int32_t vp_abs(int32_t value) { return value < 0 ? -value : value; }

// The centre of the luma pixels that a sample covers, in half pixels; a picture of odd size ends inside a sample.
VP_PIXEL int32_t vp_middle_x(const TransitionFrame* frame, int32_t x) {
  return vp_min(x * frame->unit_x + frame->offset_x, 2 * (frame->luma_width - 1));
}
VP_PIXEL int32_t vp_middle_y(const TransitionFrame* frame, int32_t y) {
  return vp_min(y * frame->unit_y + frame->offset_y, 2 * (frame->luma_height - 1));
}

// The last luma pixel that a sample covers.
VP_PIXEL int32_t vp_last_x(const TransitionFrame* frame, int32_t x) {
  return vp_min((x << frame->shift_x) + (1 << frame->shift_x), frame->luma_width) - 1;
}
VP_PIXEL int32_t vp_last_y(const TransitionFrame* frame, int32_t y) {
  return vp_min((y << frame->shift_y) + (1 << frame->shift_y), frame->luma_height) - 1;
}

// The share of a sample that lies in [low, high).
VP_PIXEL int32_t vp_covered(int32_t place, int32_t shift, int32_t low, int32_t high) {
  const int32_t start = place << shift;
  const int32_t stop = start + (1 << shift);
  return vp_max(vp_min(stop, high) - vp_max(start, low), 0) << (VP_WEIGHT_BITS - shift);
}

VP_PIXEL int32_t vp_weight_edge(const TransitionFrame* frame, int32_t x, int32_t y) {
  const int32_t across = vp_covered(x, frame->shift_x, frame->low_x, frame->high_x);
  const int32_t down = vp_covered(y, frame->shift_y, frame->low_y, frame->high_y);
  return (across * down) >> VP_WEIGHT_BITS;
}

VP_PIXEL int32_t vp_weight_smooth(const TransitionFrame* frame, int32_t x, int32_t y) {
  return vp_smooth(frame->base + frame->slope_x * vp_middle_x(frame, x) + frame->slope_y * vp_middle_y(frame, y));
}

VP_PIXEL int32_t vp_weight_middle(const TransitionFrame* frame, int32_t x, int32_t y) {
  const int32_t across = vp_abs(vp_middle_x(frame, x) - frame->centre_x);
  const int32_t down = vp_abs(vp_middle_y(frame, y) - frame->centre_y);
  return vp_smooth(frame->base + frame->slope_x * across + frame->slope_y * down);
}

VP_PIXEL int32_t vp_weight_diagonal(const TransitionFrame* frame, int32_t x, int32_t y) {
  const int32_t down = frame->start_y + frame->sign_y * vp_middle_y(frame, y);
  const int32_t slope = (int32_t)((down * frame->scale) >> 12);
  return vp_smooth(frame->base + slope * (frame->start_x + frame->sign_x * vp_middle_x(frame, x)));
}

// Whether the first picture shows on one of `length` lines. Both sides are often equal, so the smoothstep must be
// finer here: 40 fraction bits.
VP_PIXEL int32_t vp_slice_shows(const TransitionFrame* frame, int32_t line, int32_t slope, int32_t length) {
  const int64_t t = vp_clamp(frame->base + slope * line, 0, 1 << VP_LINE_BITS);
  const int64_t opened = ((t * t >> VP_LINE_BITS) * (((int64_t)3 << VP_LINE_BITS) - 2 * t) >> 16) | (t > 0);
  return opened * length <= (int64_t)(10 * line % length) << 40;
}

VP_PIXEL int32_t vp_weight_slice(const TransitionFrame* frame, int32_t x, int32_t y) {
  const int32_t across = frame->slope_x != 0;
  const int32_t start = across ? frame->start_x : frame->start_y;
  const int32_t sign = across ? frame->sign_x : frame->sign_y;
  const int32_t slope = across ? frame->slope_x : frame->slope_y;
  const int32_t length = across ? frame->luma_width : frame->luma_height;
  const int32_t one = across ? x << frame->shift_x : y << frame->shift_y;
  const int32_t two = across ? vp_last_x(frame, x) : vp_last_y(frame, y);
  const int32_t shown = vp_slice_shows(frame, start + sign * one, slope, length) +
                        vp_slice_shows(frame, start + sign * two, slope, length);
  return shown * (VP_WEIGHT_ONE / 2);
}

// Each luma line has its own shift; a chroma sample takes the mean of the two lines that it covers.
VP_PIXEL int32_t vp_weight_wind(const TransitionFrame* frame, const TransitionPlane* plane, int32_t x, int32_t y,
                                int32_t across, int32_t shift) {
  const int32_t line =
      frame->base + frame->slope_x * vp_middle_x(frame, x) + frame->slope_y * vp_middle_y(frame, y);
  const int32_t one = (across ? y : x) << shift;
  if (shift == 0) return vp_smooth(line - plane->noise[one]);
  const int32_t two = across ? vp_last_y(frame, y) : vp_last_x(frame, x);
  return (vp_smooth(line - plane->noise[one]) + vp_smooth(line - plane->noise[two]) + 1) >> 1;
}

// A 16-bit hash for each luma pixel.
VP_PIXEL int32_t vp_chance(int32_t x, int32_t y) {
  uint32_t value = (uint32_t)x * 0x9E3779B1u + (uint32_t)y * 0x85EBCA77u;
  value ^= value >> 15;
  value *= 0x2C1B3C6Du;
  value ^= value >> 12;
  value *= 0x297A2D39u;
  return (int32_t)(value >> 16);
}

VP_PIXEL int32_t vp_weight_dissolve(const TransitionFrame* frame, int32_t x, int32_t y) {
  const int32_t left = x << frame->shift_x, top = y << frame->shift_y;
  const int32_t right = vp_last_x(frame, x), bottom = vp_last_y(frame, y);
  const int32_t shown = (vp_chance(left, top) >= frame->limit) + (vp_chance(right, top) >= frame->limit) +
                        (vp_chance(left, bottom) >= frame->limit) + (vp_chance(right, bottom) >= frame->limit);
  return shown * (VP_WEIGHT_ONE / 4);
}

VP_PIXEL int32_t vp_in_disc(const TransitionFrame* frame, int32_t x, int32_t y) {
  const int32_t across = x - (frame->centre_x >> 1), down = y - (frame->centre_y >> 1);
  return across * across + down * down <= frame->limit;
}

VP_PIXEL int32_t vp_weight_disc(const TransitionFrame* frame, int32_t x, int32_t y) {
  const int32_t left = x << frame->shift_x, top = y << frame->shift_y;
  const int32_t right = vp_last_x(frame, x), bottom = vp_last_y(frame, y);
  const int32_t shown = vp_in_disc(frame, left, top) + vp_in_disc(frame, right, top) +
                        vp_in_disc(frame, left, bottom) + vp_in_disc(frame, right, bottom);
  return shown * (VP_WEIGHT_ONE / 4);
}

#define VP_HALF_PI 421657428  // VP_LINE_BITS

// -- around the middle ----------------------------------------------------------------------------
// Length and angle of (across, down) come from the ratio of the smaller to the larger. Only the ratio needs a
// division, done as a product with the reciprocal of a column or a row.

VP_PIXEL int32_t vp_reciprocal(int32_t place) { return place == 0 ? 0 : (1 << 30) / vp_abs(place); }

VP_PIXEL int32_t vp_ratio(int32_t across, int32_t down, int32_t of_across, int32_t of_down) {
  return (across > down ? down * of_across : across * of_down) >> 15;  // 15 fraction bits, 0 to 1
}

// sqrt(1 + ratio²), 15 fraction bits: a polynomial of the fourth degree in ratio², within 6e-5 with its
// rounding.
VP_PIXEL int32_t vp_stretch(int32_t ratio) {
  const int32_t square = (ratio * ratio) >> 15;
  int32_t value = -356;
  value = ((value * square) >> 15) + 1506;
  value = ((value * square) >> 15) - 3948;
  value = ((value * square) >> 15) + 16371;
  return ((value * square) >> 15) + 32768;
}

// atan(ratio), 15 fraction bits: ratio times a polynomial of the fifth degree in ratio², within 1e-4
// with its rounding.
VP_PIXEL int32_t vp_turn(int32_t ratio) {
  const int32_t square = (ratio * ratio) >> 15;
  int32_t value = -465;
  value = ((value * square) >> 15) + 1945;
  value = ((value * square) >> 15) - 4030;
  value = ((value * square) >> 15) + 6434;
  value = ((value * square) >> 15) - 10915;
  value = ((value * square) >> 15) + 32768;
  return (ratio * value) >> 15;
}

VP_PIXEL int32_t vp_weight_circle(const TransitionFrame* frame, int32_t across, int32_t down, int32_t of_across,
                                  int32_t of_down) {
  across = vp_abs(across);
  down = vp_abs(down);
  const int32_t stretch = vp_stretch(vp_ratio(across, down, of_across, of_down));
  const int32_t larger = (vp_max(across, down) * frame->slope_x) >> 14;  // relative to the reach, 15 fraction bits
  return vp_smooth(frame->base + ((larger * stretch) >> (30 - VP_LINE_BITS)));
}

// The angle from straight down towards the right: -pi to pi.
VP_PIXEL int32_t vp_weight_radial(const TransitionFrame* frame, int32_t across, int32_t down, int32_t of_across,
                                  int32_t of_down) {
  const int32_t right = vp_abs(across), below = vp_abs(down);
  int32_t angle = vp_turn(vp_ratio(right, below, of_across, of_down)) << (VP_LINE_BITS - 15);
  angle = right > below ? VP_HALF_PI - angle : angle;
  angle = down < 0 ? 2 * VP_HALF_PI - angle : angle;
  const int32_t weight = vp_smooth(frame->base + (across < 0 ? -angle : angle));
  // The angle jumps from -pi to pi inside a chroma sample half a pixel left of the centre.
  return across == -1 ? (weight + vp_smooth(frame->base + angle) + 1) >> 1 : weight;
}

// The weight of the first picture for one sample of a plane.
VP_PIXEL int32_t vp_weight(int32_t formula, const TransitionFrame* frame, const TransitionPlane* plane, int32_t x,
                           int32_t y) {
  const int32_t across = vp_middle_x(frame, x) - frame->centre_x;
  const int32_t down = vp_middle_y(frame, y) - frame->centre_y;
  int32_t weight = frame->amount;
  switch (formula) {
    case VP_EDGE: weight = vp_weight_edge(frame, x, y); break;
    case VP_SMOOTH: weight = vp_weight_smooth(frame, x, y); break;
    case VP_MIDDLE: weight = vp_weight_middle(frame, x, y); break;
    case VP_DIAGONAL: weight = vp_weight_diagonal(frame, x, y); break;
    case VP_SLICE: weight = vp_weight_slice(frame, x, y); break;
    case VP_WIND: weight = vp_weight_wind(frame, plane, x, y, frame->slope_x != 0, frame->shift_x); break;
    case VP_DISSOLVE: weight = vp_weight_dissolve(frame, x, y); break;
    case VP_DISC: weight = vp_weight_disc(frame, x, y); break;
    case VP_CIRCLE:
      weight = vp_weight_circle(frame, across, down, vp_reciprocal(across), vp_reciprocal(down));
      break;
    case VP_RADIAL:
      weight = vp_weight_radial(frame, across, down, vp_reciprocal(across), vp_reciprocal(down));
      break;
    default: break;
  }
  return frame->opposite ? VP_WEIGHT_ONE - weight : weight;
}
