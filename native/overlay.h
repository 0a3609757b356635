// A picture with transparency, prepared for blending over frames.
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/resample.h"

namespace vp {

struct Span {
  int begin, end;  // columns of a row that are not fully transparent
};

struct LumaPlane {
  std::vector<uint8_t> picture, alpha;
  std::vector<Span> spans;  // one for each row
};

// Chroma for one parity of the position in the frame. A frame's chroma samples lie on even columns, so the first
// sample of an overlay at an odd column lies one column before the overlay; likewise for rows.
struct ChromaPlanes {
  int width = 0, height = 0;
  std::vector<int8_t> u, v;
  std::vector<uint8_t> alpha;
  std::vector<Span> spans;
  // The first column for an overlay at the frame's left edge, beyond which the edge is repeated.
  std::vector<int8_t> edge_u, edge_v;
  std::vector<uint8_t> edge_alpha;
};

struct Part {
  int left, top, width, height;
};

class Overlay {
 public:
  // `rgba`: rows of straight-alpha RGBA, `stride` bytes apart.
  Overlay(const uint8_t* rgba, ptrdiff_t stride, int width, int height);

  // Blend `part` over the frame, with the overlay's top left corner at (x, y); pixels outside the frame are skipped.
  // Parts that tile the overlay draw the same as the whole: a chroma sample belongs to the part that contains its
  // column and the upper of its rows.
  void blend(const Plane (&target)[3], int x, int y, int opacity, const Part& part) const;

  int width() const { return width_; }
  int height() const { return height_; }
  const LumaPlane& luma() const { return luma_; }
  const ChromaPlanes& chroma(bool x_odd, bool y_odd) const { return chroma_[y_odd][x_odd]; }

 private:
  void make_luma(const uint8_t* rgba, ptrdiff_t stride);
  void make_chroma(const uint8_t* rgba, ptrdiff_t stride);

  int width_, height_;
  LumaPlane luma_;
  ChromaPlanes chroma_[2][2];
};

}  // namespace vp
