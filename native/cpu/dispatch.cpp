// Chooses the process's table of row functions: the best for this processor, unless another is forced.
#include <atomic>
#include <cstring>

#include "cpu/rows.h"

namespace vp {
namespace {

struct Target {
  const char* name;
  const Rows& (*table)();
  bool (*runs)();
};

bool always() { return true; }

#if defined(VP_HAS_AVX2)
bool runs_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2"); }
#endif
#if defined(VP_HAS_AVX512)
bool runs_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

// Ordered from the most basic instruction set up.
constexpr Target kTargets[] = {
    {"baseline", baseline_rows, always},
#if defined(VP_HAS_AVX2)
    {"avx2", avx2_rows, runs_avx2},
#endif
#if defined(VP_HAS_AVX512)
    {"avx512", avx512_rows, runs_avx512},
#endif
};

const Rows* best() {
  const Rows* found = nullptr;
  for (const Target& target : kTargets) {
    if (target.runs()) found = &target.table();
  }
  return found;
}

std::atomic<const Rows*> active{nullptr};

}  // namespace

const Rows& rows() {
  const Rows* table = active.load(std::memory_order_relaxed);
  if (!table) {
    table = best();
    active.store(table, std::memory_order_relaxed);
  }
  return *table;
}

int usable_targets(const char** names, int capacity) {
  int count = 0;
  for (const Target& target : kTargets) {
    if (target.runs() && count < capacity) names[count++] = target.name;
  }
  return count;
}

bool force_target(const char* name) {
  if (std::strcmp(name, "auto") == 0) {
    active.store(best(), std::memory_order_relaxed);
    return true;
  }
  for (const Target& target : kTargets) {
    if (std::strcmp(name, target.name) == 0 && target.runs()) {
      active.store(&target.table(), std::memory_order_relaxed);
      return true;
    }
  }
  return false;
}

}  // namespace vp
