// The CUDA kernels, all of them: one text for NVRTC, and for a C++ compiler in the tests.
#include "pixel/blend.h"
#include "pixel/resample.h"
#include "pixel/transitions.h"

#include "cuda/blur.h"
#include "cuda/compose.h"
#include "cuda/rearrange.h"
