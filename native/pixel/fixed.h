// Whole-number arithmetic that the CPU rows and the CUDA kernels share word for word.
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
