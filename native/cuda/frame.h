// What a CUDA kernel is told of a frame: read by the kernels, written by plan.cpp. Pointers are to the GPU's memory.
//
// Planes come in pairs: [0] is luma, [1] chroma, of which U and V are alike in everything but their pixels.
#pragma once

#include "pixel/resample.h"
#include "pixel/transitions.h"

// The taps of each output along a line; see Line.
struct DrawLine {
  const int32_t* first;
  const int16_t* weights;
  int32_t taps;
};

// A picture of a frame: resampled, or copied if `copied`, and faded towards a level.
struct DrawSide {
  const uint8_t* plane[3];
  int32_t width[2], height[2];
  int32_t copied;
  int32_t lost;  // see vp_lost
  DrawLine across[2], down[2];
  int32_t fade_amount, fade_level[2];
};

// A picture with transparency over the frame, or a part of it; see Overlay.
struct DrawLayer {
  const uint8_t* luma;
  const int8_t* chroma[2];
  const uint8_t* alpha[2];
  const int8_t* edge[2];  // chroma of the first column where the frame's left edge is repeated, one for each row
  const uint8_t* edge_alpha;
  int32_t left[2], top[2];  // the picture's place in the plane
  int32_t width[2];
  int32_t begin_x[2], end_x[2], begin_y[2], end_y[2];  // the part, in the picture
  int32_t at_edge;
  int32_t opacity;
};

struct DrawFrame {
  DrawSide side[2];
  int32_t sides;
  const TransitionFrame* transition;  // of luma and of chroma; null if there is one side
  const int32_t* noise;
  const DrawLayer* layers;
  int32_t layer_count;
  uint8_t* target[3];
  int32_t stride[2];  // bytes
  int32_t step[2];    // bytes between the samples of a plane: 2 where U and V are interleaved
  int32_t width, height;
};

VP_PIXEL int32_t vp_plane_width(const DrawFrame& frame, int32_t chroma) { return (frame.width + chroma) >> chroma; }
VP_PIXEL int32_t vp_plane_height(const DrawFrame& frame, int32_t chroma) { return (frame.height + chroma) >> chroma; }

// The columns and rows that a block of threads draws, and the most rows of a picture that they need of it.
#define VP_TILE_WIDTH 64
#define VP_TILE_HEIGHT 16
#define VP_TILE_LINES (2 * VP_TILE_HEIGHT + VP_MOST_TAPS)
#define VP_BLOCK_THREADS 256
