// The last steps of each value of a frame, in every kernel: the layers over it, and its place in the target.
#pragma once

#include "cuda/frame.h"
#include "pixel/blend.h"

#define VP_DEVICE static __device__ __forceinline__

VP_DEVICE int32_t vp_faded(const DrawSide& side, int32_t chroma, int32_t value) {
  if (side.fade_amount <= 0) return value;
  if (side.fade_amount >= VP_ONE) return side.fade_level[chroma];
  return vp_mix_level(static_cast<uint8_t>(value), static_cast<uint16_t>(VP_ONE - side.fade_amount),
                      vp_mix_added(side.fade_level[chroma], side.fade_amount));
}

// Whether any layer is over a rectangle of the plane. All threads of a block ask alike.
VP_DEVICE bool vp_is_covered(const DrawFrame& frame, int32_t chroma, int32_t left, int32_t top, int32_t right,
                             int32_t bottom) {
  for (int32_t index = 0; index < frame.layer_count; ++index) {
    const DrawLayer& layer = frame.layers[index];
    if (left < layer.left[chroma] + layer.end_x[chroma] && right > layer.left[chroma] + layer.begin_x[chroma] &&
        top < layer.top[chroma] + layer.end_y[chroma] && bottom > layer.top[chroma] + layer.begin_y[chroma]) {
      return true;
    }
  }
  return false;
}

// `channel`: 0 for luma and U, 1 for V.
VP_DEVICE int32_t vp_under_layers(const DrawFrame& frame, int32_t chroma, int32_t channel, int32_t x, int32_t y,
                                  int32_t value) {
  for (int32_t index = 0; index < frame.layer_count; ++index) {
    const DrawLayer& layer = frame.layers[index];
    const int32_t column = x - layer.left[chroma], row = y - layer.top[chroma];
    if (column < layer.begin_x[chroma] || column >= layer.end_x[chroma] || row < layer.begin_y[chroma] ||
        row >= layer.end_y[chroma]) {
      continue;
    }
    const uint16_t opacity = vp_opacity(layer.opacity);
    const int32_t at = row * layer.width[chroma] + column;
    const uint8_t below = static_cast<uint8_t>(value);
    if (!chroma) {
      value = vp_blend_luma(below, layer.luma[at], layer.alpha[0][at], opacity);
    } else if (layer.at_edge && column == 0) {
      value = vp_blend_chroma(below, layer.edge[channel][row], layer.edge_alpha[row], opacity);
    } else {
      value = vp_blend_chroma(below, layer.chroma[channel][at], layer.alpha[1][at], opacity);
    }
  }
  return value;
}

VP_DEVICE void vp_store(const DrawFrame& frame, int32_t chroma, int32_t channel, int32_t x, int32_t y,
                        int32_t value) {
  uint8_t* const line = frame.target[chroma + channel] + static_cast<int64_t>(y) * frame.stride[chroma];
  line[x * frame.step[chroma]] = static_cast<uint8_t>(value);
}
