// Integer arithmetic in plain C, for the CPU rows and for CUDA kernels.
#pragma once

#include <stdint.h>

#if defined(__CUDACC__)
#define VP_PIXEL static __host__ __device__ __forceinline__
#else
#define VP_PIXEL static inline
#endif

#define VP_ONE 65536  // 1.0 of a weight or a progress

VP_PIXEL int32_t vp_min(int32_t a, int32_t b) { return a < b ? a : b; }
VP_PIXEL int32_t vp_max(int32_t a, int32_t b) { return a > b ? a : b; }
VP_PIXEL int32_t vp_clamp(int32_t value, int32_t low, int32_t high) { return vp_min(vp_max(value, low), high); }

// The high half of a product of 16-bit values. The casts let compilers use a multiplier that returns only that half.
VP_PIXEL uint16_t vp_high(uint16_t one, uint16_t other) {
  return static_cast<uint16_t>((static_cast<uint32_t>(one) * other) >> 16);
}
VP_PIXEL int16_t vp_high_signed(int16_t one, int16_t other) {
  return static_cast<int16_t>((static_cast<int32_t>(one) * other) >> 16);
}
VP_PIXEL uint16_t vp_byte_above(int32_t byte) { return static_cast<uint16_t>(byte << 8); }
