#include "overlay.h"

#include <algorithm>

#include "cpu/rows.h"
#include "pixel/blend.h"
#include "pixel/colour.h"

namespace vp {
namespace {

Span span_of(const uint8_t* alpha, int width) {
  int begin = 0, end = width;
  while (begin < end && alpha[begin] == 0) ++begin;
  while (begin < end && alpha[end - 1] == 0) --end;
  return {begin, end};
}

struct ChromaSample {
  int8_t u, v;
  uint8_t alpha;
};

// Takes sums over 8 pixels of each channel, R, G, B times alpha.
ChromaSample chroma_sample(uint32_t red_sum, uint32_t green_sum, uint32_t blue_sum, uint32_t alpha_sum) {
  if (alpha_sum == 0) return {0, 0, 0};
  const auto red = static_cast<uint16_t>((red_sum + 127) / 255);
  const auto green = static_cast<uint16_t>((green_sum + 127) / 255);
  const auto blue = static_cast<uint16_t>((blue_sum + 127) / 255);
  return {static_cast<int8_t>(vp_chroma_u(red, green, blue) - 128),
          static_cast<int8_t>(vp_chroma_v(red, green, blue) - 128), static_cast<uint8_t>((alpha_sum + 4) >> 3)};
}

// Sums with weights 1 2 1 along one row of R, G, B times alpha and of alpha, for the columns -1 to width.
class ChromaLine {
 public:
  explicit ChromaLine(int width) : width_(width), pixels_(4 * (width + 4)), sums_(4 * (width + 2)) {}

  // `rgba` is a row of the overlay, or null outside it; `span` is its visible range.
  void fill(const uint8_t* rgba, const Span& span) {
    std::fill(pixels_.begin(), pixels_.end(), 0);
    seen_ = {0, 0};
    if (!rgba || span.begin >= span.end) {
      std::fill(sums_.begin(), sums_.end(), 0);
      return;
    }
    seen_ = {span.begin - 1, span.end + 1};
    for (int x = span.begin; x < span.end; ++x) {
      const uint32_t alpha = rgba[4 * x + 3];
      uint32_t* to = pixels_.data() + 4 * (x + 2);
      for (int channel = 0; channel < 3; ++channel) to[channel] = rgba[4 * x + channel] * alpha;
      to[3] = alpha;
    }
    const uint32_t* from = pixels_.data();
    const int count = 4 * (width_ + 2);
    for (int at = 0; at < count; ++at) sums_[at] = from[at] + 2 * from[at + 4] + from[at + 8];
  }
  // The columns with non-zero sums.
  const Span& seen() const { return seen_; }
  const uint32_t* sums(int x) const { return sums_.data() + 4 * (x + 1); }
  const uint32_t* pixel(int x) const { return pixels_.data() + 4 * (x + 2); }

 private:
  int width_;
  Span seen_{0, 0};
  std::vector<uint32_t> pixels_, sums_;
};

ChromaPlanes empty_planes(int width, int height, int x_odd, int y_odd) {
  ChromaPlanes planes;
  // Include the column past the overlay's end, whose sample contains a quarter of the last column.
  planes.width = (width + x_odd) / 2 + 1;
  planes.height = (height + y_odd + 1) / 2;
  const size_t count = static_cast<size_t>(planes.width) * planes.height;
  planes.u.resize(count);
  planes.v.resize(count);
  planes.alpha.resize(count);
  planes.spans.reserve(planes.height);
  return planes;
}

}  // namespace

Overlay::Overlay(const uint8_t* rgba, ptrdiff_t stride, int width, int height) : width_(width), height_(height) {
  make_luma(rgba, stride);
  make_chroma(rgba, stride);
}

// Each pair of adjacent rows makes one row of samples for the parity of its upper row; its even and odd columns
// belong to the two horizontal parities.
void Overlay::make_chroma(const uint8_t* rgba, ptrdiff_t stride) {
  for (int odd = 0; odd < 4; ++odd) {
    chroma_[odd / 2][odd % 2] = empty_planes(width_, height_, odd % 2, odd / 2);
  }
  ChromaLine lines[2] = {ChromaLine(width_), ChromaLine(width_)};
  lines[1].fill(nullptr, {0, 0});
  for (int y = -1; y < height_; ++y) {
    const ChromaLine& one = lines[y & 1];
    ChromaLine& two = lines[(y + 1) & 1];
    const bool inside = y + 1 < height_;
    two.fill(inside ? rgba + (y + 1) * stride : nullptr, inside ? luma_.spans[y + 1] : Span{0, 0});
    const int y_odd = y & 1, row = (y + y_odd) / 2;
    ChromaPlanes* const planes = chroma_[y_odd];
    const bool only_one = two.seen().begin == two.seen().end, only_two = one.seen().begin == one.seen().end;
    const int begin = only_one ? one.seen().begin : only_two ? two.seen().begin
                                                             : std::min(one.seen().begin, two.seen().begin);
    const int end = std::max(one.seen().end, two.seen().end);
    for (int x = begin; x < end; ++x) {
      const uint32_t *above = one.sums(x), *below = two.sums(x);
      const ChromaSample sample =
          chroma_sample(above[0] + below[0], above[1] + below[1], above[2] + below[2], above[3] + below[3]);
      const int x_odd = x & 1;
      const int column = (x + x_odd) / 2;
      const size_t at = static_cast<size_t>(row) * planes[x_odd].width + column;
      planes[x_odd].u[at] = sample.u;
      planes[x_odd].v[at] = sample.v;
      planes[x_odd].alpha[at] = sample.alpha;
    }
    for (int x_odd = 0; x_odd < 2; ++x_odd) {
      const uint8_t* alpha = planes[x_odd].alpha.data() + static_cast<size_t>(row) * planes[x_odd].width;
      planes[x_odd].spans.push_back(span_of(alpha, planes[x_odd].width));
    }
    uint32_t edge[4];
    for (int channel = 0; channel < 4; ++channel) {
      edge[channel] = vp_chroma_sum(one.pixel(0)[channel], one.pixel(0)[channel], one.pixel(1)[channel]) +
                      vp_chroma_sum(two.pixel(0)[channel], two.pixel(0)[channel], two.pixel(1)[channel]);
    }
    const ChromaSample sample = chroma_sample(edge[0], edge[1], edge[2], edge[3]);
    planes[0].edge_u.push_back(sample.u);
    planes[0].edge_v.push_back(sample.v);
    planes[0].edge_alpha.push_back(sample.alpha);
  }
}

void Overlay::make_luma(const uint8_t* rgba, ptrdiff_t stride) {
  const size_t count = static_cast<size_t>(width_) * height_;
  luma_.picture.resize(count);
  luma_.alpha.resize(count);
  for (int y = 0; y < height_; ++y) {
    const size_t line = static_cast<size_t>(y) * width_;
    for (int x = 0; x < width_; ++x) {
      const uint8_t* from = rgba + y * stride + 4 * x;
      const uint32_t level = vp_luma_256(from[0], from[1], from[2]);
      luma_.picture[line + x] = static_cast<uint8_t>((level * from[3] + 255 * 128) / (255 * 256));
      luma_.alpha[line + x] = from[3];
    }
    luma_.spans.push_back(span_of(luma_.alpha.data() + line, width_));
  }
}

void Overlay::blend(const Plane (&target)[3], int x, int y, int opacity, const Part& part) const {
  if (opacity == 0 || part.width == 0 || part.height == 0) return;
  const Rows& table = rows();
  const int right = part.left + part.width, bottom = part.top + part.height;

  const int last_row = std::min(bottom, target[0].height - y);
  for (int row = std::max(part.top, -y); row < last_row; ++row) {
    const Span& span = luma_.spans[row];
    const int begin = std::max({part.left, span.begin, -x});
    const int end = std::min({right, span.end, target[0].width - x});
    if (begin >= end) continue;
    const size_t at = static_cast<size_t>(row) * width_ + begin;
    table.blend_luma(target[0].data + (y + row) * target[0].stride + (x + begin), luma_.picture.data() + at,
                     luma_.alpha.data() + at, end - begin, opacity);
  }

  const int x_odd = x & 1, y_odd = y & 1;
  const ChromaPlanes& planes = chroma_[y_odd][x_odd];
  // Position of the planes' first sample in the frame's chroma.
  const int left = (x - x_odd) / 2, top = (y - y_odd) / 2;
  // Samples outside the overlay belong to the part at that edge.
  const int first_column = part.left == 0 ? 0 : (part.left + x_odd + 1) / 2;
  const int column_end = right == width_ ? planes.width : (right + x_odd + 1) / 2;
  const int first_row = part.top == 0 ? 0 : (part.top + y_odd + 1) / 2;
  const int row_end = std::min({bottom == height_ ? planes.height : (bottom + y_odd + 1) / 2, planes.height,
                                target[1].height - top});
  for (int row = std::max(first_row, -top); row < row_end; ++row) {
    const Span& span = planes.spans[row];
    int begin = std::max({first_column, span.begin, -left});
    const int end = std::min({column_end, span.end, target[1].width - left});
    uint8_t* lines[2] = {target[1].data + (top + row) * target[1].stride,
                         target[2].data + (top + row) * target[2].stride};
    if (x == 0 && first_column == 0) {
      table.blend_chroma(lines[0], &planes.edge_u[row], &planes.edge_alpha[row], 1, opacity);
      table.blend_chroma(lines[1], &planes.edge_v[row], &planes.edge_alpha[row], 1, opacity);
      begin = std::max(begin, 1);
    }
    if (begin >= end) continue;
    const size_t at = static_cast<size_t>(row) * planes.width + begin;
    table.blend_chroma(lines[0] + (left + begin), planes.u.data() + at, planes.alpha.data() + at, end - begin, opacity);
    table.blend_chroma(lines[1] + (left + begin), planes.v.data() + at, planes.alpha.data() + at, end - begin, opacity);
  }
}

}  // namespace vp
