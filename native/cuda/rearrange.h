// The kernel of transitions that read other places than the one they draw, from two pictures that vp_compose has drawn
// as planes: slide, cover, reveal, squeeze, zoom, blocks, distance. One thread draws a sample, without shared memory.
#pragma once

#include "cuda/finish.h"

VP_DEVICE TransitionPlane vp_planes(const DrawFrame& frame, int32_t plane) {
  TransitionPlane planes{};
  planes.plane = plane;
  planes.width = vp_plane_width(frame, plane > 0);
  planes.height = vp_plane_height(frame, plane > 0);
  for (int32_t index = 0; index < 3; ++index) {
    planes.first[index] = frame.side[0].plane[index];
    planes.second[index] = frame.side[1].plane[index];
    planes.first_stride[index] = planes.second_stride[index] = vp_plane_width(frame, index > 0);
  }
  return planes;
}

VP_DEVICE int32_t vp_at(const TransitionPlane& plane, int32_t picture, int32_t x, int32_t y) {
  return vp_line(&plane, picture, plane.plane, y)[x];
}

VP_DEVICE int32_t vp_moved(const TransitionFrame& frame, const TransitionPlane& plane, int32_t x, int32_t y) {
  if (frame.varies & VP_ACROSS) {
    const int32_t one = vp_moved_place(&frame, x << frame.shift_x, 1);
    const int32_t two = vp_moved_place(&frame, vp_last_x(&frame, x), 1);
    return (vp_at(plane, one & 1, (one >> 1) >> frame.shift_x, y) +
            vp_at(plane, two & 1, (two >> 1) >> frame.shift_x, y) + 1) >> 1;
  }
  const int32_t one = vp_moved_place(&frame, y << frame.shift_y, 0);
  const int32_t two = vp_moved_place(&frame, vp_last_y(&frame, y), 0);
  return (vp_at(plane, one & 1, x, (one >> 1) >> frame.shift_y) +
          vp_at(plane, two & 1, x, (two >> 1) >> frame.shift_y) + 1) >> 1;
}

VP_DEVICE int32_t vp_zoomed(const TransitionFrame& frame, const TransitionPlane& plane, int32_t x, int32_t y) {
  const int32_t left = x << frame.shift_x, top = y << frame.shift_y;
  int32_t enlarged;
  if (frame.shift_x) {
    const int32_t across = vp_zoom_quarters(frame.place_x, frame.step_x, left, vp_last_x(&frame, x), frame.luma_width,
                                            plane.width);
    const int32_t down = vp_zoom_quarters(frame.place_y, frame.step_y, top, vp_last_y(&frame, y), frame.luma_height,
                                          plane.height);
    const uint8_t* const above = vp_line(&plane, 0, plane.plane, down >> 2);
    const uint8_t* const below = vp_line(&plane, 0, plane.plane, vp_min((down >> 2) + 1, plane.height - 1));
    enlarged = vp_between(above, below, across >> 2, vp_min((across >> 2) + 1, plane.width - 1), across & 3, down & 3);
  } else {
    enlarged = vp_at(plane, 0, vp_zoom_place(frame.place_x, frame.step_x, left, frame.luma_width),
                     vp_zoom_place(frame.place_y, frame.step_y, top, frame.luma_height));
  }
  return vp_mix(enlarged, vp_at(plane, 1, x, y), frame.amount);
}

VP_DEVICE int32_t vp_in_blocks(const TransitionFrame& frame, const TransitionPlane& plane, int32_t x, int32_t y) {
  const int32_t left = vp_block_place(&frame, x << frame.shift_x, frame.luma_width) >> frame.shift_x;
  const int32_t right = vp_block_place(&frame, vp_last_x(&frame, x), frame.luma_width) >> frame.shift_x;
  const int32_t top = vp_block_place(&frame, y << frame.shift_y, frame.luma_height) >> frame.shift_y;
  const int32_t bottom = vp_block_place(&frame, vp_last_y(&frame, y), frame.luma_height) >> frame.shift_y;
  int32_t sums[2];
  for (int32_t picture = 0; picture < 2; ++picture) {
    sums[picture] = vp_at(plane, picture, left, top) + vp_at(plane, picture, right, top) +
                    vp_at(plane, picture, left, bottom) + vp_at(plane, picture, right, bottom);
  }
  return (sums[1] * VP_WEIGHT_ONE + (sums[0] - sums[1]) * frame.amount + 2 * VP_WEIGHT_ONE) >> (VP_WEIGHT_BITS + 2);
}

// The difference of a chroma plane at a luma pixel, in 1/16 level; see vp_chroma_near.
VP_DEVICE int32_t vp_chroma_difference(const TransitionFrame& frame, const TransitionPlane& plane, int32_t index,
                                       int32_t x, int32_t y) {
  const int32_t last_column = (frame.luma_width - 1) / 2, last_row = (frame.luma_height - 1) / 2;
  int32_t of_column[4];
  for (int32_t column = 0; column < 4; ++column) {
    const int32_t at = vp_clamp(x / 2 + (column - 1) * (x % 2 ? 1 : -1), 0, last_column);
    int32_t differences[4];
    for (int32_t row = 0; row < 4; ++row) {
      const int32_t line = vp_clamp(y / 2 + (row - 1) * (y % 2 ? 1 : -1), 0, last_row);
      differences[row] = vp_line(&plane, 0, index, line)[at] - vp_line(&plane, 1, index, line)[at];
    }
    of_column[column] = vp_chroma_near(differences[0], differences[1], differences[2], differences[3]);
  }
  return vp_chroma_nearer(of_column[0], of_column[1], of_column[2], of_column[3]);
}

VP_DEVICE int32_t vp_pixel_is_near(const TransitionFrame& frame, const TransitionPlane& plane, int32_t x, int32_t y) {
  const int32_t luma = vp_line(&plane, 0, 0, y)[x] - vp_line(&plane, 1, 0, y)[x];
  return vp_is_near(&frame, luma, vp_chroma_difference(frame, plane, 1, x, y),
                    vp_chroma_difference(frame, plane, 2, x, y));
}

VP_DEVICE int32_t vp_by_distance(const TransitionFrame& frame, const TransitionPlane& plane, int32_t x, int32_t y) {
  int32_t weight;
  if (frame.shift_x) {
    const int32_t left = 2 * x, right = vp_last_x(&frame, x), top = 2 * y, bottom = vp_last_y(&frame, y);
    const int32_t near = vp_pixel_is_near(frame, plane, left, top) + vp_pixel_is_near(frame, plane, right, top) +
                         vp_pixel_is_near(frame, plane, left, bottom) + vp_pixel_is_near(frame, plane, right, bottom);
    weight = (near * frame.amount) >> 2;
  } else {
    weight = vp_pixel_is_near(frame, plane, x, y) * frame.amount;
  }
  return vp_mix(vp_at(plane, 0, x, y), vp_at(plane, 1, x, y), weight);
}

extern "C" __global__ void __launch_bounds__(VP_BLOCK_THREADS) vp_rearrange(const DrawFrame* frames) {
  const DrawFrame& frame = frames[blockIdx.z >> 1];
  const int32_t chroma = blockIdx.z & 1, left = blockIdx.x * VP_TILE_WIDTH, top = blockIdx.y * VP_TILE_HEIGHT;
  const int32_t right = vp_min(left + VP_TILE_WIDTH, vp_plane_width(frame, chroma));
  const int32_t bottom = vp_min(top + VP_TILE_HEIGHT, vp_plane_height(frame, chroma));
  if (left >= right || top >= bottom) return;
  const TransitionFrame& transition = frame.transition[chroma];
  const bool covered = vp_is_covered(frame, chroma, left, top, right, bottom);
  for (int32_t channel = 0; channel <= chroma; ++channel) {
    const TransitionPlane plane = vp_planes(frame, chroma + channel);
    for (int32_t at = threadIdx.x; at < (bottom - top) * VP_TILE_WIDTH; at += blockDim.x) {
      const int32_t x = left + at % VP_TILE_WIDTH, y = top + at / VP_TILE_WIDTH;
      if (x >= right) continue;
      int32_t value;
      switch (transition.formula) {
        case VP_ZOOM: value = vp_zoomed(transition, plane, x, y); break;
        case VP_BLOCKS: value = vp_in_blocks(transition, plane, x, y); break;
        case VP_DISTANCE: value = vp_by_distance(transition, plane, x, y); break;
        default: value = vp_moved(transition, plane, x, y); break;
      }
      if (covered) value = vp_under_layers(frame, chroma, channel, x, y, value);
      vp_store(frame, chroma, channel, x, y, value);
    }
  }
}
