// A grade of 4:2:0 frames: the new levels of a grid of chroma colours at every luma level, interpolated between them.
#pragma once

#include <vector>

#include "cpu/resample.h"
#include "pixel/grade.h"

namespace vp {

// Threads may share it.
class FrameGrade {
 public:
  // `values`: see LutView.
  FrameGrade(const double* values, int size);

  // Grade a frame (Y, U, V) into another one.
  void apply(const ConstPlane* source, const Plane* target) const;

 private:
  void set_knots(const LutView& lut, int u, int v);

  bool changes_;  // a LUT that changes nothing leaves every byte as it is, also of colours outside RGB
  std::vector<int16_t> luma_, chroma_;  // knots: see pixel/grade.h
};

}  // namespace vp
