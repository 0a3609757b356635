// Plans frames for the CUDA kernels: fills memory that is uploaded before a launch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "cpu/lines.h"
#include "cpu/transition.h"
#include "cuda/frame.h"
#include "overlay.h"

namespace vp {

// A launch: a kernel, its grid of blocks, and the address of its frames.
struct CudaLaunch {
  const char* kernel;
  int grid[3];
  uint64_t frames;
};

// The planes of an overlay for one parity of its place, as the kernels read them, in one piece of memory.
size_t packed_overlay_bytes(const Overlay& overlay, bool x_odd, bool y_odd);
void pack_overlay(const Overlay& overlay, bool x_odd, bool y_odd, uint8_t* target);

// The frames of one launch. `memory` is the host's copy of what will lie at `address` on the GPU. Calls for a frame are
// begin, one or two of still and copy, then transition if there are two, any number of layers, and end.
class CudaPlan {
 public:
  CudaPlan(uint8_t* memory, size_t size, uint64_t address, int width, int height);

  // Room for a frame in bytes, with `layers` layers.
  static size_t frame_bytes(int width, int height, int layers);

  void clear();
  // The target's planes lie one after another, with U and V side by side in one plane if `interleaved` (NV12).
  void begin(uint64_t target, int stride, bool interleaved);
  // A picture whose three planes lie one after another without gaps; `fade` is 0 to VP_ONE.
  void still(uint64_t planes, int width, int height, double left, double top, double step_x, double step_y, int fade,
             bool to_white);
  void copy(uint64_t planes, int fade, bool to_white);
  // `scratch`: room for two frames of planes without gaps, used if the formula reads other places than its own.
  void transition(const TransitionRecord& record, float progress, uint64_t scratch);
  // `packed` is the address of pack_overlay's planes.
  void layer(uint64_t packed, const Overlay& overlay, int x, int y, int opacity, const Part& part);
  void end();

  std::vector<CudaLaunch> launches();
  size_t used_bytes() const { return used_; }
  int width() const { return width_; }
  int height() const { return height_; }

 private:
  template <typename Value>
  const Value* put(const Value* values, size_t count);
  DrawSide& next_side(uint64_t planes, int width, int height, int fade, bool to_white);
  DrawLine planned(int count, int length, double start, double step);
  DrawFrame blank() const;

  uint8_t* memory_;
  size_t size_, used_ = 0;
  uint64_t address_;
  int width_, height_;
  DrawFrame frame_{};
  int formula_ = VP_EVEN;  // of the frame's transition
  std::vector<DrawLayer> layers_;
  std::vector<DrawFrame> composed_, rearranged_, blurred_;
  Line line_;
  std::vector<int32_t> noise_;
};

}  // namespace vp
