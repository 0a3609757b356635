// The kernel of the blur, whose values are means over up to half a row. A block draws a row: each thread sums a stretch
// of its luma pixels, and from the sums before it moves a window through the stretch.
#pragma once

#include "cuda/finish.h"

// The mixed rows of the two pictures, by luma pixel; in a chroma row each sample counts for those that it covers.
struct MixedRow {
  const uint8_t* first;
  const uint8_t* second;
  int32_t shift, amount;
};

VP_DEVICE int32_t vp_mixed_at(const MixedRow& row, int32_t x) {
  return vp_mix_fine(row.first[x >> row.shift], row.second[x >> row.shift], row.amount);
}

extern "C" __global__ void __launch_bounds__(VP_BLOCK_THREADS) vp_blur(const DrawFrame* frames) {
  __shared__ int32_t stretches[VP_BLOCK_THREADS];
  const DrawFrame& frame = frames[blockIdx.y];
  const int32_t rows = vp_plane_height(frame, 0), chroma_rows = vp_plane_height(frame, 1);
  const int32_t line = blockIdx.x, chroma = line >= rows, channel = line >= rows + chroma_rows;
  const int32_t y = line - (chroma ? rows : 0) - (channel ? chroma_rows : 0);
  if (y >= vp_plane_height(frame, chroma)) return;
  const TransitionFrame& transition = frame.transition[chroma];
  const int64_t start = static_cast<int64_t>(y) * vp_plane_width(frame, chroma);
  const MixedRow row{frame.side[0].plane[chroma + channel] + start, frame.side[1].plane[chroma + channel] + start,
                     chroma, transition.amount};
  const int32_t width = frame.width, size = transition.size, steady = vp_max(width - size, 0);
  const int32_t threads = blockDim.x, thread = threadIdx.x;
  const int32_t length = ((width + threads - 1) / threads + 1) & ~1;  // even: no sample spans two stretches
  const int32_t begin = vp_min(thread * length, width), end = vp_min(begin + length, width);
  int32_t sum = 0;
  for (int32_t x = begin; x < end; ++x) sum += vp_mixed_at(row, x);
  stretches[thread] = sum;
  __syncthreads();
  // Sums before `begin`, before the pixel that enters the window there, and of the whole row.
  const int32_t enters = vp_min(begin + size, width);
  int32_t before = 0, ahead = 0, whole = 0;
  for (int32_t other = 0; other < threads; ++other) {
    before += other < thread ? stretches[other] : 0;
    ahead += (other + 1) * length <= enters ? stretches[other] : 0;
    whole += stretches[other];
  }
  for (int32_t x = enters / length * length; x < enters; ++x) ahead += vp_mixed_at(row, x);
  const int32_t share = vp_share(vp_min(size, width));
  const bool covered = vp_is_covered(frame, chroma, 0, y, vp_plane_width(frame, chroma), y + 1);
  int32_t left = 0;
  for (int32_t x = begin; x < end; ++x) {
    const int32_t mean =
        x < steady ? vp_mean(ahead - before, share) : vp_mean(whole - before, vp_share(vp_min(size, width - x)));
    before += vp_mixed_at(row, x);
    if (x + size < width) ahead += vp_mixed_at(row, x + size);
    int32_t value = mean;
    if (chroma && x % 2 == 0 && x + 1 < width) {
      left = mean;
      continue;
    }
    if (chroma && x % 2) value = (left + mean + 1) >> 1;
    if (covered) value = vp_under_layers(frame, chroma, channel, x >> chroma, y, value);
    vp_store(frame, chroma, channel, x >> chroma, y, value);
  }
}
