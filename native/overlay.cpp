#include "overlay.h"

#include <algorithm>
#include <array>

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

// R, G, B times alpha, and alpha, with one transparent pixel on every side.
class Premultiplied {
 public:
  using Pixel = std::array<uint16_t, 4>;

  Premultiplied(const uint8_t* rgba, ptrdiff_t stride, int width, int height)
      : line_(width + 2), pixels_(static_cast<size_t>(width + 2) * (height + 2)) {
    for (int y = 0; y < height; ++y) {
      Pixel* to = row(y);
      for (int x = 0; x < width; ++x) {
        const uint8_t* from = rgba + y * stride + 4 * x;
        const uint8_t alpha = from[3];
        to[x] = {static_cast<uint16_t>(from[0] * alpha), static_cast<uint16_t>(from[1] * alpha),
                 static_cast<uint16_t>(from[2] * alpha), alpha};
      }
    }
  }
  // Row -1 to height; its pixels -1 to width.
  Pixel* row(int y) { return pixels_.data() + static_cast<size_t>(y + 1) * line_ + 1; }

 private:
  int line_;
  std::vector<Pixel> pixels_;
};

struct ChromaSample {
  int8_t u, v;
  uint8_t alpha;
};

ChromaSample chroma_sample(const Premultiplied::Pixel* const (&six)[6]) {
  int32_t sums[4];
  for (int channel = 0; channel < 4; ++channel) {
    sums[channel] = vp_chroma_sum((*six[0])[channel], (*six[1])[channel], (*six[2])[channel]) +
                    vp_chroma_sum((*six[3])[channel], (*six[4])[channel], (*six[5])[channel]);
  }
  if (sums[3] == 0) return {0, 0, 0};
  const auto red = static_cast<uint16_t>((sums[0] + 127) / 255);
  const auto green = static_cast<uint16_t>((sums[1] + 127) / 255);
  const auto blue = static_cast<uint16_t>((sums[2] + 127) / 255);
  return {static_cast<int8_t>(vp_chroma_u(red, green, blue) - 128),
          static_cast<int8_t>(vp_chroma_v(red, green, blue) - 128), static_cast<uint8_t>((sums[3] + 4) >> 3)};
}

ChromaPlanes make_chroma(Premultiplied& pixels, int width, int height, int x_odd, int y_odd) {
  ChromaPlanes planes;
  // Up to the last column that a sample reaches: the one past the overlay's end counts a quarter of the end.
  planes.width = (width + x_odd) / 2 + 1;
  planes.height = (height + y_odd + 1) / 2;
  const size_t count = static_cast<size_t>(planes.width) * planes.height;
  planes.u.resize(count);
  planes.v.resize(count);
  planes.alpha.resize(count);
  for (int row = 0; row < planes.height; ++row) {
    const Premultiplied::Pixel* one = pixels.row(2 * row - y_odd);
    const Premultiplied::Pixel* two = pixels.row(2 * row - y_odd + 1);
    const size_t line = static_cast<size_t>(row) * planes.width;
    const Premultiplied::Pixel nothing{};
    for (int column = 0; column < planes.width; ++column) {
      const int x = 2 * column - x_odd;
      const bool before = x - 1 >= -1, after = x + 1 <= width;
      const ChromaSample sample =
          chroma_sample({before ? one + x - 1 : &nothing, one + x, after ? one + x + 1 : &nothing,
                         before ? two + x - 1 : &nothing, two + x, after ? two + x + 1 : &nothing});
      planes.u[line + column] = sample.u;
      planes.v[line + column] = sample.v;
      planes.alpha[line + column] = sample.alpha;
    }
    planes.spans.push_back(span_of(planes.alpha.data() + line, planes.width));
    if (!x_odd) {
      const ChromaSample edge = chroma_sample({one, one, one + 1, two, two, two + 1});
      planes.edge_u.push_back(edge.u);
      planes.edge_v.push_back(edge.v);
      planes.edge_alpha.push_back(edge.alpha);
    }
  }
  return planes;
}

}  // namespace

Overlay::Overlay(const uint8_t* rgba, ptrdiff_t stride, int width, int height) : width_(width), height_(height) {
  make_luma(rgba, stride);
  Premultiplied pixels(rgba, stride, width, height);
  for (int y_odd = 0; y_odd < 2; ++y_odd) {
    for (int x_odd = 0; x_odd < 2; ++x_odd) {
      chroma_[y_odd][x_odd] = make_chroma(pixels, width, height, x_odd, y_odd);
    }
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
    table.blend_luma(target[0].data + (y + row) * target[0].stride + x + begin, luma_.picture.data() + at,
                     luma_.alpha.data() + at, end - begin, opacity);
  }

  const int x_odd = x & 1, y_odd = y & 1;
  const ChromaPlanes& planes = chroma_[y_odd][x_odd];
  // Where the planes' first sample lies in the frame's chroma.
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
    uint8_t* to[2] = {target[1].data + (top + row) * target[1].stride + left,
                      target[2].data + (top + row) * target[2].stride + left};
    if (x == 0 && first_column == 0) {
      table.blend_chroma(to[0], &planes.edge_u[row], &planes.edge_alpha[row], 1, opacity);
      table.blend_chroma(to[1], &planes.edge_v[row], &planes.edge_alpha[row], 1, opacity);
      begin = std::max(begin, 1);
    }
    if (begin >= end) continue;
    const size_t at = static_cast<size_t>(row) * planes.width + begin;
    table.blend_chroma(to[0] + begin, planes.u.data() + at, planes.alpha.data() + at, end - begin, opacity);
    table.blend_chroma(to[1] + begin, planes.v.data() + at, planes.alpha.data() + at, end - begin, opacity);
  }
}

}  // namespace vp
