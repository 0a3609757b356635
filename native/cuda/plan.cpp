#include "cuda/plan.h"

#include <algorithm>
#include <cstring>

#include "cpu/resample.h"

namespace vp {
namespace {

constexpr size_t kAligned = 16;
constexpr int kLevelBlack = 16, kLevelWhite = 235, kLevelGrey = 128;

constexpr size_t aligned(size_t bytes) { return (bytes + kAligned - 1) / kAligned * kAligned; }

template <typename Value>
const Value* on_gpu(uint64_t address) {
  return reinterpret_cast<const Value*>(static_cast<uintptr_t>(address));
}

size_t luma_bytes(int width, int height) { return static_cast<size_t>(width) * height; }
size_t chroma_bytes(int width, int height) { return luma_bytes((width + 1) / 2, (height + 1) / 2); }
size_t planes_bytes(int width, int height) { return luma_bytes(width, height) + 2 * chroma_bytes(width, height); }

bool needs_places(int formula) {
  switch (formula) {
    case VP_DISTANCE:
    case VP_SPANS:
    case VP_SQUEEZE:
    case VP_ZOOM:
    case VP_BLOCKS:
    case VP_BLUR: return true;
    default: return false;
  }
}

// Offsets of an overlay's planes in packed memory.
struct Packed {
  size_t luma, luma_alpha, u, v, alpha, edge_u, edge_v, edge_alpha, end;

  Packed(const Overlay& overlay, const ChromaPlanes& chroma) {
    const size_t pixels = luma_bytes(overlay.width(), overlay.height());
    const size_t samples = luma_bytes(chroma.width, chroma.height);
    const size_t edge = chroma.edge_u.size();
    luma = 0;
    luma_alpha = luma + pixels;
    u = luma_alpha + pixels;
    v = u + samples;
    alpha = v + samples;
    edge_u = alpha + samples;
    edge_v = edge_u + edge;
    edge_alpha = edge_v + edge;
    end = edge_alpha + edge;
  }
};

}  // namespace

size_t packed_overlay_bytes(const Overlay& overlay, bool x_odd, bool y_odd) {
  return Packed(overlay, overlay.chroma(x_odd, y_odd)).end;
}

void pack_overlay(const Overlay& overlay, bool x_odd, bool y_odd, uint8_t* target) {
  const ChromaPlanes& chroma = overlay.chroma(x_odd, y_odd);
  const Packed at(overlay, chroma);
  const auto put = [target](size_t offset, const auto& values) {
    if (!values.empty()) std::memcpy(target + offset, values.data(), values.size());
  };
  put(at.luma, overlay.luma().picture);
  put(at.luma_alpha, overlay.luma().alpha);
  put(at.u, chroma.u);
  put(at.v, chroma.v);
  put(at.alpha, chroma.alpha);
  put(at.edge_u, chroma.edge_u);
  put(at.edge_v, chroma.edge_v);
  put(at.edge_alpha, chroma.edge_alpha);
  // Overlay::blend leaves out what lies outside a row's span. The kernels draw it with alpha 0, which changes nothing
  // only if the colour is grey.
  for (int row = 0; row < chroma.height; ++row) {
    const Span& span = chroma.spans[row];
    const size_t line = static_cast<size_t>(row) * chroma.width;
    for (const size_t plane : {at.u, at.v}) {
      std::memset(target + plane + line, 0, span.begin);
      std::memset(target + plane + line + span.end, 0, chroma.width - span.end);
    }
  }
}

CudaPlan::CudaPlan(uint8_t* memory, size_t size, uint64_t address, int width, int height)
    : memory_(memory), size_(size), address_(address), width_(width), height_(height) {}

size_t CudaPlan::frame_bytes(int width, int height, int layers) {
  const auto line_bytes = [](int count) {
    const size_t outputs = (static_cast<size_t>(count) + kBlock - 1) / kBlock * kBlock;
    return aligned(outputs * sizeof(int32_t)) + aligned(outputs * kMaxTaps * sizeof(int16_t));
  };
  const size_t side = line_bytes(width) + line_bytes(height) + line_bytes((width + 1) / 2) + line_bytes((height + 1) / 2);
  return 2 * side + 3 * aligned(sizeof(DrawFrame)) + aligned(2 * sizeof(TransitionFrame)) +
         aligned(std::max(width, height) * sizeof(int32_t)) + aligned(layers * sizeof(DrawLayer)) + 4 * kAligned;
}

void CudaPlan::clear() {
  used_ = 0;
  composed_.clear();
  rearranged_.clear();
  blurred_.clear();
}

template <typename Value>
const Value* CudaPlan::put(const Value* values, size_t count) {
  const size_t bytes = count * sizeof(Value);
  if (used_ + aligned(bytes) > size_) {
    throw std::length_error("the frames need more than the " + std::to_string(size_) + " bytes of the plan");
  }
  if (bytes) std::memcpy(memory_ + used_, values, bytes);
  const uint64_t at = address_ + used_;
  used_ += aligned(bytes);
  return on_gpu<Value>(at);
}

DrawLine CudaPlan::planned(int count, int length, double start, double step) {
  line_.plan(count, length, start, step);
  const int32_t* first = put(line_.first.data(), line_.first.size());
  return DrawLine{first, put(line_.weights.data(), line_.weights.size()), line_.taps};
}

DrawFrame CudaPlan::blank() const {
  DrawFrame frame{};
  frame.width = width_;
  frame.height = height_;
  return frame;
}

namespace {

void aim(DrawFrame& frame, uint64_t target, int stride, bool interleaved) {
  const int chroma_stride = interleaved ? stride : (stride + 1) / 2;
  uint8_t* const luma = const_cast<uint8_t*>(on_gpu<uint8_t>(target));
  uint8_t* const chroma = luma + static_cast<size_t>(stride) * frame.height;
  frame.target[0] = luma;
  frame.target[1] = chroma;
  frame.target[2] = interleaved ? chroma + 1 : chroma + static_cast<size_t>(chroma_stride) * ((frame.height + 1) / 2);
  frame.stride[0] = stride;
  frame.stride[1] = chroma_stride;
  frame.step[0] = 1;
  frame.step[1] = interleaved ? 2 : 1;
}

void take_planes(DrawSide& side, uint64_t planes, int width, int height) {
  side.width[0] = width;
  side.height[0] = height;
  side.width[1] = (width + 1) / 2;
  side.height[1] = (height + 1) / 2;
  side.plane[0] = on_gpu<uint8_t>(planes);
  side.plane[1] = side.plane[0] + luma_bytes(width, height);
  side.plane[2] = side.plane[1] + chroma_bytes(width, height);
}

}  // namespace

void CudaPlan::begin(uint64_t target, int stride, bool interleaved) {
  frame_ = blank();
  layers_.clear();
  aim(frame_, target, stride, interleaved);
}

DrawSide& CudaPlan::next_side(uint64_t planes, int width, int height, int fade, bool to_white) {
  if (frame_.sides == 2) throw std::length_error("a frame has two pictures at most");
  DrawSide& side = frame_.side[frame_.sides++];
  take_planes(side, planes, width, height);
  side.fade_amount = fade;
  side.fade_level[0] = to_white ? kLevelWhite : kLevelBlack;
  side.fade_level[1] = kLevelGrey;
  return side;
}

void CudaPlan::still(uint64_t planes, int width, int height, double left, double top, double step_x, double step_y,
                     int fade, bool to_white) {
  DrawSide& side = next_side(planes, width, height, fade, to_white);
  side.lost = lost_in_rounding(step_x, step_y);
  const int half_width = (width_ + 1) / 2, half_height = (height_ + 1) / 2;
  side.across[0] = planned(width_, width, left, step_x);
  side.down[0] = planned(height_, height, top, step_y);
  side.across[1] = planned(half_width, side.width[1], chroma_left(left, step_x), step_x);
  side.down[1] = planned(half_height, side.height[1], chroma_top(top), step_y);
}

void CudaPlan::copy(uint64_t planes, int fade, bool to_white) {
  next_side(planes, width_, height_, fade, to_white).copied = 1;
}

void CudaPlan::transition(const TransitionRecord& record, float progress, uint64_t scratch) {
  if (frame_.sides != 2) throw std::length_error("a transition has two pictures");
  TransitionFrame frames[2];
  for (int plane = 0; plane < 2; ++plane) frames[plane] = prepare_transition(record, progress, plane, width_, height_);
  make_noise(record, width_, height_, noise_);
  frame_.noise = put(noise_.data(), noise_.size());
  frame_.transition = put(frames, 2);
  formula_ = record.formula;
  if (!needs_places(record.formula)) return;
  for (int index = 0; index < 2; ++index) {
    const uint64_t planes = scratch + index * planes_bytes(width_, height_);
    DrawFrame drawn = blank();
    drawn.side[0] = frame_.side[index];
    drawn.sides = 1;
    aim(drawn, planes, width_, false);
    composed_.push_back(drawn);
    frame_.side[index] = DrawSide{};
    take_planes(frame_.side[index], planes, width_, height_);
  }
}

void CudaPlan::layer(uint64_t packed, const Overlay& overlay, int x, int y, int opacity, const Part& part) {
  if (opacity == 0 || part.width == 0 || part.height == 0) return;
  const int x_odd = x & 1, y_odd = y & 1;
  const ChromaPlanes& chroma = overlay.chroma(x_odd, y_odd);
  const Packed at(overlay, chroma);
  const int right = part.left + part.width, bottom = part.top + part.height;
  DrawLayer layer{};
  layer.luma = on_gpu<uint8_t>(packed + at.luma);
  layer.alpha[0] = on_gpu<uint8_t>(packed + at.luma_alpha);
  layer.chroma[0] = on_gpu<int8_t>(packed + at.u);
  layer.chroma[1] = on_gpu<int8_t>(packed + at.v);
  layer.alpha[1] = on_gpu<uint8_t>(packed + at.alpha);
  layer.edge[0] = on_gpu<int8_t>(packed + at.edge_u);
  layer.edge[1] = on_gpu<int8_t>(packed + at.edge_v);
  layer.edge_alpha = on_gpu<uint8_t>(packed + at.edge_alpha);
  layer.opacity = opacity;
  layer.left[0] = x;
  layer.top[0] = y;
  layer.width[0] = overlay.width();
  layer.begin_x[0] = part.left;
  layer.end_x[0] = right;
  layer.begin_y[0] = part.top;
  layer.end_y[0] = bottom;
  // As in Overlay::blend.
  layer.left[1] = (x - x_odd) / 2;
  layer.top[1] = (y - y_odd) / 2;
  layer.width[1] = chroma.width;
  layer.begin_x[1] = part.left == 0 ? 0 : (part.left + x_odd + 1) / 2;
  layer.end_x[1] = right == overlay.width() ? chroma.width : (right + x_odd + 1) / 2;
  layer.begin_y[1] = part.top == 0 ? 0 : (part.top + y_odd + 1) / 2;
  layer.end_y[1] = bottom == overlay.height() ? chroma.height : std::min((bottom + y_odd + 1) / 2, chroma.height);
  layer.at_edge = x == 0 && layer.begin_x[1] == 0;
  layers_.push_back(layer);
}

void CudaPlan::end() {
  if (frame_.sides == 2 && !frame_.transition) throw std::length_error("two pictures have a transition");
  frame_.layer_count = static_cast<int32_t>(layers_.size());
  frame_.layers = put(layers_.data(), layers_.size());
  const bool joined = frame_.transition && needs_places(formula_);
  auto& list = !joined ? composed_ : formula_ == VP_BLUR ? blurred_ : rearranged_;
  list.push_back(frame_);
}

std::vector<CudaLaunch> CudaPlan::launches() {
  const int across = (width_ + VP_TILE_WIDTH - 1) / VP_TILE_WIDTH, down = (height_ + VP_TILE_HEIGHT - 1) / VP_TILE_HEIGHT;
  const int lines = height_ + 2 * ((height_ + 1) / 2);
  std::vector<CudaLaunch> list;
  const auto add = [&](const char* kernel, const std::vector<DrawFrame>& frames, int x, int y, int z) {
    if (frames.empty()) return;
    const auto address = reinterpret_cast<uintptr_t>(put(frames.data(), frames.size()));
    list.push_back(CudaLaunch{kernel, {x, y, z}, static_cast<uint64_t>(address)});
  };
  add("vp_compose", composed_, across, down, 2 * static_cast<int>(composed_.size()));
  add("vp_rearrange", rearranged_, across, down, 2 * static_cast<int>(rearranged_.size()));
  add("vp_blur", blurred_, lines, static_cast<int>(blurred_.size()), 1);
  return list;
}

}  // namespace vp
