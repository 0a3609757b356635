// Transitions that move pixels. Places (positions) are in luma pixels; a chroma sample is the mean over the luma
// pixels that it covers, each with the chroma sample at its source.
#pragma once

#include "pixel/transitions.h"

// A place in one of the two pictures, packed as 2 * place + picture.
VP_PIXEL int32_t vp_packed(int32_t place, int32_t picture) { return 2 * place + picture; }

// Slide, cover, reveal: the source place of `line` (a row or a column).
VP_PIXEL int32_t vp_span_place(const TransitionFrame* frame, int32_t line) {
  const int32_t near = line < frame->split;
  return vp_packed(line + (near ? frame->near_shift : frame->far_shift),
                   near ? frame->near_picture : frame->far_picture);
}

// Squeeze: the first picture in [low, high), the second around it. Places are measured from the centre; a place
// halfway between two lines rounds to the even one.
VP_PIXEL int32_t vp_squeeze_place(const TransitionFrame* frame, int32_t line, int32_t low, int32_t high,
                                  int32_t length) {
  const int64_t place = frame->place_x + frame->step_x * (2 * vp_clamp(line, low, high - 1) - length) +
                        ((int64_t)1 << 31);
  const int32_t between = (place & 0xFFFFFFFF) == 0;
  const int32_t rounded = (int32_t)(place >> 32);
  const int32_t pressed = vp_clamp(rounded - (between & rounded), 0, length - 1);
  return line >= low && line < high ? vp_packed(pressed, 0) : vp_packed(line, 1);
}

// The source place of a line, for formulas that show exactly one picture at each place.
VP_PIXEL int32_t vp_moved_place(const TransitionFrame* frame, int32_t line, int32_t across) {
  if (!(frame->varies & (across ? VP_ACROSS : VP_DOWN))) return vp_packed(line, 0);
  if (frame->formula == VP_SPANS) return vp_span_place(frame, line);
  return across ? vp_squeeze_place(frame, line, frame->low_x, frame->high_x, frame->luma_width)
                : vp_squeeze_place(frame, line, frame->low_y, frame->high_y, frame->luma_height);
}

// Zoom: the exact place rounded up. A place that differs from an integer only by rounding counts as that integer.
VP_PIXEL int32_t vp_zoom_place(int64_t start, int64_t step, int32_t line, int32_t length) {
  const int64_t almost_one = ((int64_t)1 << 32) - 4096;
  return vp_clamp((int32_t)((start + step * line + almost_one) >> 32), 0, length - 1);
}

// Zoom of chroma, in quarters of a chroma sample, from the places of the two luma pixels that the sample covers.
VP_PIXEL int32_t vp_zoom_quarters(int64_t start, int64_t step, int32_t one, int32_t two, int32_t length,
                                  int32_t samples) {
  const int32_t both = vp_zoom_place(start, step, one, length) + vp_zoom_place(start, step, two, length);
  return vp_clamp(both - 1, 0, 4 * (samples - 1));
}

VP_PIXEL int32_t vp_zoom_luma(const TransitionFrame* frame, const uint8_t* line, int32_t x) {
  return line[vp_zoom_place(frame->place_x, frame->step_x, x, frame->luma_width)];
}

// Interpolate between four samples; `across` and `down` are quarters of the way to `next` and to `below`.
VP_PIXEL int32_t vp_between(const uint8_t* above, const uint8_t* below, int32_t at, int32_t next, int32_t across,
                            int32_t down) {
  const int32_t top = above[at] * (4 - across) + above[next] * across;
  const int32_t bottom = below[at] * (4 - across) + below[next] * across;
  return (top * (4 - down) + bottom * down + 8) >> 4;
}

// floor(value / unit); a quotient that in float equals the next integer counts as that integer.
VP_PIXEL int64_t vp_floor_as_float(int64_t value, int64_t unit) {
  const int64_t next = value / unit + 1;
  int64_t power = 1;
  while (power < next) power *= 2;
  return next * unit - value <= (power * unit) >> 25 ? next : next - 1;
}

// Blocks: each shows the pixel at its centre. Their side is `scale`, with 32 fraction bits; 0 leaves the picture
// unchanged. Their edges often fall on whole pixels, where xfade's float rounding decides.
VP_PIXEL int32_t vp_block_place(const TransitionFrame* frame, int32_t line, int32_t length) {
  if (frame->scale == 0) return line;
  const int64_t block = vp_floor_as_float((int64_t)line << 32, frame->scale);
  return vp_min((int32_t)vp_floor_as_float((2 * block + 1) * frame->scale, (int64_t)1 << 33), length - 1);
}
