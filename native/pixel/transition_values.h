// Transitions whose formula depends on pixel values.
#pragma once

#include "pixel/transitions.h"

// Fades through black, white or grey: shares of both pictures and of a level.
VP_PIXEL int32_t vp_through(const TransitionFrame* frame, int32_t first, int32_t second) {
  return (first * frame->first_share + second * frame->second_share + frame->constant) >> VP_WEIGHT_BITS;
}

// Fast and slow fades, whose weight depends on the difference of the pictures.
VP_PIXEL int32_t vp_by_difference(const TransitionFrame* frame, int32_t first, int32_t second) {
  return second + frame->by_difference[first - second + 255];
}

// Distance. Chroma differences are known for each chroma sample; a luma pixel lies a quarter of the way from the
// nearest sample to the next. A cubic (a = -0.6, as in FFmpeg's scaler) interpolates there from four samples: `last`
// precedes the nearest, `after` follows the next. 5 fraction bits; 4 after the second pass.
VP_PIXEL int32_t vp_chroma_near(int32_t last, int32_t nearest, int32_t next, int32_t after) {
  return 28 * nearest + 8 * next - 3 * last - after;
}
VP_PIXEL int32_t vp_chroma_nearer(int32_t last, int32_t nearest, int32_t next, int32_t after) {
  return (vp_chroma_near(last, nearest, next, after) + 32) >> 6;
}

// Luma differences are in levels, those of U and V in 1/16 level.

VP_PIXEL int32_t vp_is_near(const TransitionFrame* frame, int32_t luma, int32_t u, int32_t v) {
  return 256 * luma * luma + u * u + v * v <= frame->limit;
}

// Blur: the mean of `count` values of 8 fraction bits, rounded; `reciprocal` is vp_share of the count.
VP_PIXEL int32_t vp_share(int32_t count) { return (int32_t)((((int64_t)1 << 30) + count / 2) / count); }

VP_PIXEL int32_t vp_mean(int32_t sum, int32_t share) {
  return (int32_t)(((uint64_t)(uint32_t)sum * (uint32_t)share + ((uint64_t)1 << 37)) >> 38);
}

// The mix of the two pictures, with 8 fraction bits.
VP_PIXEL int32_t vp_mix_fine(int32_t first, int32_t second, int32_t weight) {
  return (second << 8) + (((first - second) * weight + (1 << (VP_WEIGHT_BITS - 9))) >> (VP_WEIGHT_BITS - 8));
}
