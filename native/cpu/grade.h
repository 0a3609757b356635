// A grade of 4:2:0 frames: for each chroma colour a curve with the new colour of each luma level.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "cpu/resample.h"
#include "pixel/grade.h"

namespace vp {

struct GradedRows {
  uint8_t *one, *two, *u, *v;
};

// A curve is made when its chroma first occurs, since a clip shows few of the 65536. Threads may share the curves.
class GradeCurves {
 public:
  // `values`: see LutView.
  GradeCurves(const double* values, int size);

  // Grade a frame (Y, U, V) into another one. Luma is graded with the chroma of its row, interpolated to its column; a chroma
  // sample with the mean of the luma pixels that it covers.
  void apply(const ConstPlane* source, const Plane* target);
  // How many curves have been made.
  int made() const;

 private:
  using Curve = std::atomic<const uint8_t*>;

  const uint8_t* make(uint16_t key);
  // Grade two rows of luma and the chroma row that they share, of which `keys` are the colours.
  void grade_rows(const uint16_t* keys, const uint8_t* one, const uint8_t* two, const GradedRows& to, int width);

  std::vector<double> values_;
  LutView lut_;
  bool changes_;  // a LUT that changes nothing leaves every byte as it is, also of colours outside RGB
  std::unique_ptr<Curve[]> curves_;  // by V * 256 + U: its part of `luma_`, or null
  // Room for every curve, of which the system gives only the pages that are written.
  std::unique_ptr<uint8_t[]> luma_, chroma_;
  mutable std::mutex making_;
  int made_ = 0;
};

}  // namespace vp
