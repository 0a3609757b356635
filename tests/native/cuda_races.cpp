// The CUDA kernels with real threads, for the thread sanitizer: every transition of small frames, with resampled
// pictures, fades and layers. It prints a sum of the bytes, which must not depend on the number of threads.
#include "cuda_on_cpu.h"

#include "cuda/kernels.cu"

#include <cstdio>
#include <random>
#include <vector>

#include "cuda/plan.h"

namespace {

constexpr int kWidth = 70, kHeight = 36, kWide = 101, kHigh = 59;

std::vector<uint8_t> noise(std::mt19937& random, size_t bytes) {
  std::vector<uint8_t> values(bytes);
  for (uint8_t& value : values) value = static_cast<uint8_t>(random());
  return values;
}

uint64_t address_of(const std::vector<uint8_t>& memory) { return reinterpret_cast<uintptr_t>(memory.data()); }

}  // namespace

int main() {
  std::mt19937 random(7);
  const auto first = noise(random, 2 * kWide * kHigh), second = noise(random, 2 * kWide * kHigh);
  const auto rgba = noise(random, 4 * 40 * 20);
  const vp::Overlay overlay(rgba.data(), 4 * 40, 40, 20);
  std::vector<uint8_t> packed(vp::packed_overlay_bytes(overlay, true, false));
  vp::pack_overlay(overlay, true, false, packed.data());
  std::vector<uint8_t> scratch(4 * kWidth * kHeight), target(2 * kWidth * kHeight);
  std::vector<uint8_t> memory(vp::CudaPlan::frame_bytes(kWidth, kHeight, 4));
  uint32_t sum = 0;
  for (const vp::TransitionRecord& record : vp::kTransitionRecords) {
    vp::CudaPlan plan(memory.data(), memory.size(), address_of(memory), kWidth, kHeight);
    plan.begin(address_of(target), kWidth, true);
    plan.still(address_of(first), kWide, kHigh, 1.5, 2.25, 1.2, 1.7, VP_ONE / 3, false);
    plan.still(address_of(second), kWide, kHigh, 0.25, 0.5, 1.0, 0.8, 0, false);
    plan.transition(record, 0.4f, address_of(scratch));
    plan.layer(address_of(packed), overlay, 31, 10, VP_ONE / 2, {0, 0, 40, 20});
    plan.end();
    for (const vp::CudaLaunch& each : plan.launches()) {
      const auto* frames = reinterpret_cast<const DrawFrame*>(static_cast<uintptr_t>(each.frames));
      const auto kernel = each.kernel == std::string("vp_compose")     ? vp_compose
                          : each.kernel == std::string("vp_rearrange") ? vp_rearrange
                                                                       : vp_blur;
      launch({static_cast<unsigned>(each.grid[0]), static_cast<unsigned>(each.grid[1]),
              static_cast<unsigned>(each.grid[2])},
             kernel, frames);
    }
    for (const uint8_t value : target) sum = sum * 31 + value;
  }
  std::printf("%u\n", sum);
  return 0;
}
