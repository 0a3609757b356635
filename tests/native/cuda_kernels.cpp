// The CUDA kernels as a library for the CPU: `launch_NAME` runs one over a grid.
#include "cuda_on_cpu.h"

#include "cuda/kernels.cu"

#define LAUNCH(kernel)                                                                     \
  extern "C" __attribute__((visibility("default"))) void launch_##kernel(                  \
      unsigned x, unsigned y, unsigned z, const DrawFrame* frames) {                       \
    launch({x, y, z}, kernel, frames);                                                     \
  }
LAUNCH(vp_compose)
LAUNCH(vp_rearrange)
LAUNCH(vp_blur)
