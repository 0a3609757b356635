// The words of CUDA that the kernels use, for a C++ compiler. A block has one thread, or as many as CPU_BLOCK_THREADS
// says, which are real ones with a real barrier, for the thread sanitizer.
#pragma once

#include <pthread.h>

#include <thread>
#include <vector>

#define __global__
#define __host__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)

struct CudaPlace {
  unsigned x = 1, y = 1, z = 1;
};
static thread_local CudaPlace threadIdx, blockIdx, blockDim;

#ifdef CPU_BLOCK_THREADS
#define __shared__ static
static pthread_barrier_t block_barrier;
static void __syncthreads() { pthread_barrier_wait(&block_barrier); }
#else
#define __shared__ static thread_local
static void __syncthreads() {}
#endif

template <typename Kernel, typename... Arguments>
void launch(const unsigned (&grid)[3], Kernel kernel, Arguments... arguments) {
  const auto run = [&](unsigned thread, unsigned threads) {
    threadIdx = {thread, 0, 0};
    blockDim = {threads, 1, 1};
    for (unsigned z = 0; z < grid[2]; ++z) {
      for (unsigned y = 0; y < grid[1]; ++y) {
        for (unsigned x = 0; x < grid[0]; ++x) {
          blockIdx = {x, y, z};
          kernel(arguments...);
          __syncthreads();  // the next block has the same shared memory
        }
      }
    }
  };
#ifdef CPU_BLOCK_THREADS
  pthread_barrier_init(&block_barrier, nullptr, CPU_BLOCK_THREADS);
  std::vector<std::thread> block;
  for (unsigned thread = 0; thread < CPU_BLOCK_THREADS; ++thread) block.emplace_back(run, thread, CPU_BLOCK_THREADS);
  for (std::thread& one : block) one.join();
  pthread_barrier_destroy(&block_barrier);
#else
  run(0, 1);
#endif
}
