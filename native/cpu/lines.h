// The taps with which a line is resampled: planned on the CPU, used by the rows and by the CUDA kernels.
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/rows.h"

namespace vp {

// The taps of each output along a line. Output i's first tap is at first[i], which may be outside the line.
struct Line {
  int taps = 0;
  std::vector<int32_t> first;
  std::vector<int16_t> weights;  // [blocks][taps][kBlock]; the weights of each output sum to exactly one

  void plan(int count, int length, double start, double step);
  const int16_t* of_block(int block) const { return weights.data() + static_cast<size_t>(block) * taps * kBlock; }
};

// What truncated products lose of the last sum, in half units of its fraction.
int lost_in_rounding(double step_x, double step_y);

}  // namespace vp
