// The kernel of most frames, in one pass: one or two pictures resampled and faded, a transition whose formula needs
// only the two values at a place, the layers, and the frame in the encoder's layout.
//
// A block draws a tile of luma (even blockIdx.z) or of U and V (odd) of frame blockIdx.z / 2. A picture's rows are
// resampled across into `sums`, those down into `drawn`; every thread strides by the block's size.
#pragma once

#include "cuda/finish.h"

typedef int16_t VpSums[VP_TILE_LINES][VP_TILE_WIDTH];
typedef uint8_t VpTile[VP_TILE_HEIGHT][VP_TILE_WIDTH];

struct TilePlace {
  int32_t chroma, left, top, columns, rows;
};

template <int kTaps>
VP_DEVICE void vp_across(const DrawSide& side, const TilePlace& tile, int32_t channel, int32_t begin, int32_t end,
                         VpSums& sums) {
  const DrawLine& line = side.across[tile.chroma];
  const int32_t width = side.width[tile.chroma];
  const uint8_t* const plane = side.plane[tile.chroma + channel];
  for (int32_t at = threadIdx.x; at < (end - begin) * VP_TILE_WIDTH; at += blockDim.x) {
    const int32_t row = at / VP_TILE_WIDTH, column = at % VP_TILE_WIDTH;
    if (column >= tile.columns) continue;
    const int32_t x = tile.left + column, first = line.first[x];
    const uint8_t* const from = plane + static_cast<int64_t>(begin + row) * width;
    const int16_t* const weights = line.weights + x / VP_LINE_BLOCK * (kTaps * VP_LINE_BLOCK) + x % VP_LINE_BLOCK;
    int32_t sum = 0;
#pragma unroll
    for (int32_t tap = 0; tap < kTaps; ++tap) {
      sum += vp_tap_across(from[vp_clamp(first + tap, 0, width - 1)], weights[tap * VP_LINE_BLOCK]);
    }
    sums[row][column] = static_cast<int16_t>(sum);
  }
}

template <int kTaps>
VP_DEVICE void vp_down(const DrawSide& side, const TilePlace& tile, int32_t begin, const VpSums& sums, VpTile& drawn) {
  const DrawLine& line = side.down[tile.chroma];
  const int32_t last = side.height[tile.chroma] - 1;
  for (int32_t at = threadIdx.x; at < tile.rows * VP_TILE_WIDTH; at += blockDim.x) {
    const int32_t row = at / VP_TILE_WIDTH, column = at % VP_TILE_WIDTH;
    if (column >= tile.columns) continue;
    const int32_t y = tile.top + row, first = line.first[y];
    const int16_t* const weights = line.weights + y / VP_LINE_BLOCK * (kTaps * VP_LINE_BLOCK) + y % VP_LINE_BLOCK;
    int32_t sum = vp_down_start(vp_lost(side.lost, y), y, tile.left + column);
#pragma unroll
    for (int32_t tap = 0; tap < kTaps; ++tap) {
      sum += vp_tap_down(sums[vp_clamp(first + tap, 0, last) - begin][column], weights[tap * VP_LINE_BLOCK]);
    }
    drawn[row][column] = static_cast<uint8_t>(vp_faded(side, tile.chroma, vp_down_end(sum)));
  }
}

VP_DEVICE void vp_copy(const DrawSide& side, const TilePlace& tile, int32_t channel, VpTile& drawn) {
  const uint8_t* const plane = side.plane[tile.chroma + channel];
  for (int32_t at = threadIdx.x; at < tile.rows * VP_TILE_WIDTH; at += blockDim.x) {
    const int32_t row = at / VP_TILE_WIDTH, column = at % VP_TILE_WIDTH;
    if (column >= tile.columns) continue;
    const int64_t line = static_cast<int64_t>(tile.top + row) * side.width[tile.chroma];
    drawn[row][column] = static_cast<uint8_t>(vp_faded(side, tile.chroma, plane[line + tile.left + column]));
  }
}

// Fill `drawn` with a tile of a picture; all threads of the block call it together.
VP_DEVICE void vp_draw_side(const DrawSide& side, const TilePlace& tile, int32_t channel, VpSums& sums, VpTile& drawn) {
  if (side.copied) {
    vp_copy(side, tile, channel, drawn);
    return;
  }
  const DrawLine& down = side.down[tile.chroma];
  const int32_t last = side.height[tile.chroma] - 1;
  const int32_t begin = vp_clamp(down.first[tile.top], 0, last);
  const int32_t end = vp_clamp(down.first[tile.top + tile.rows - 1] + down.taps - 1, 0, last) + 1;
  switch (side.across[tile.chroma].taps) {
    case 4: vp_across<4>(side, tile, channel, begin, end, sums); break;
    case 6: vp_across<6>(side, tile, channel, begin, end, sums); break;
    default: vp_across<8>(side, tile, channel, begin, end, sums); break;
  }
  __syncthreads();
  switch (down.taps) {
    case 4: vp_down<4>(side, tile, begin, sums, drawn); break;
    case 6: vp_down<6>(side, tile, begin, sums, drawn); break;
    default: vp_down<8>(side, tile, begin, sums, drawn); break;
  }
  __syncthreads();  // before the sums are those of the next plane
}

VP_DEVICE int32_t vp_joined(const DrawFrame& frame, int32_t chroma, int32_t x, int32_t y, int32_t first,
                            int32_t second) {
  const TransitionFrame& transition = frame.transition[chroma];
  if (transition.formula == VP_THROUGH) return vp_through(&transition, first, second);
  if (transition.formula == VP_BY_DIFFERENCE) return vp_by_difference(&transition, first, second);
  TransitionPlane plane{};
  plane.noise = frame.noise;
  const int32_t weight = vp_weight(transition.formula, &transition, &plane, x, y);
  if (transition.level >= 0) return vp_mix(transition.shown ? second : first, transition.level, weight);
  return vp_mix(first, second, weight);
}

extern "C" __global__ void __launch_bounds__(VP_BLOCK_THREADS) vp_compose(const DrawFrame* frames) {
  __shared__ VpSums sums;
  __shared__ VpTile drawn[2][2];  // by picture and channel
  const DrawFrame& frame = frames[blockIdx.z >> 1];
  TilePlace tile;
  tile.chroma = blockIdx.z & 1;
  tile.left = blockIdx.x * VP_TILE_WIDTH;
  tile.top = blockIdx.y * VP_TILE_HEIGHT;
  tile.columns = vp_min(VP_TILE_WIDTH, vp_plane_width(frame, tile.chroma) - tile.left);
  tile.rows = vp_min(VP_TILE_HEIGHT, vp_plane_height(frame, tile.chroma) - tile.top);
  if (tile.columns <= 0 || tile.rows <= 0) return;  // chroma has fewer tiles than luma
  for (int32_t side = 0; side < frame.sides; ++side) {
    for (int32_t channel = 0; channel <= tile.chroma; ++channel) {
      vp_draw_side(frame.side[side], tile, channel, sums, drawn[side][channel]);
    }
  }
  __syncthreads();
  const bool covered =
      vp_is_covered(frame, tile.chroma, tile.left, tile.top, tile.left + tile.columns, tile.top + tile.rows);
  for (int32_t at = threadIdx.x; at < tile.rows * VP_TILE_WIDTH; at += blockDim.x) {
    const int32_t row = at / VP_TILE_WIDTH, column = at % VP_TILE_WIDTH;
    if (column >= tile.columns) continue;
    const int32_t x = tile.left + column, y = tile.top + row;
    for (int32_t channel = 0; channel <= tile.chroma; ++channel) {
      int32_t value = drawn[0][channel][row][column];
      if (frame.sides == 2) value = vp_joined(frame, tile.chroma, x, y, value, drawn[1][channel][row][column]);
      if (covered) value = vp_under_layers(frame, tile.chroma, channel, x, y, value);
      vp_store(frame, tile.chroma, channel, x, y, value);
    }
  }
}
