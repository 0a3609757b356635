// Kernels on the emulated driver. A module is a library of the kernels compiled as C++, which EMULATOR_KERNELS names
// and which runs in place of the CUBIN; a launch has ended when the call returns. cuda.bindings looks every function up
// by cuGetProcAddress.
#pragma once

#include <dlfcn.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "driver.h"

namespace emulator {

constexpr int kNotFound = 500, kInvalidImage = 200, kInvalidValue = 1;
constexpr unsigned kMostThreads = 1024;

// With EMULATOR_LAZY what is put into a stream is done only when it is waited for, as late as a GPU may.
inline bool is_lazy() { return number("EMULATOR_LAZY", 0) != 0; }

inline std::mutex streams_lock;
inline std::map<void*, std::vector<std::function<void()>>> streams;

inline void put(void* stream, std::function<void()> work) {
  if (!is_lazy()) {
    work();
    return;
  }
  const std::lock_guard<std::mutex> guard(streams_lock);
  streams[stream].push_back(std::move(work));
}

inline void run(void* stream) {
  const std::lock_guard<std::mutex> guard(streams_lock);
  for (const auto& work : streams[stream]) work();
  streams[stream].clear();
}

inline void run_all() {
  const std::lock_guard<std::mutex> guard(streams_lock);
  for (auto& [stream, list] : streams) {
    for (const auto& work : list) work();
    list.clear();
  }
}

int current_card();  // of the calling thread, -1 without a context

using Launch = void (*)(unsigned x, unsigned y, unsigned z, const void* argument);

}  // namespace emulator

API int cuGetProcAddress_v2(const char* name, void** function, int, uint64_t, int* status) {
  // The newest spelling of a name that this library has.
  static void* const self = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
  *function = nullptr;
  for (const char* suffix : {"_v3", "_v2", ""}) {
    *function = dlsym(self, (std::string(name) + suffix).c_str());
    if (*function) break;
  }
  if (status) *status = *function ? 0 : 1;
  return *function ? 0 : emulator::kNotFound;
}
API int cuGetProcAddress(const char* name, void** function, int version, uint64_t flags) {
  return cuGetProcAddress_v2(name, function, version, flags, nullptr);
}

// NVRTC looks at the driver where there is one, and asks it for a table that is documented nowhere.
API int cuGetExportTable(const void** table, const void*) {
  *table = nullptr;
  return emulator::kNotFound;
}

API int cuModuleLoadData(void** module, const void* image) {
  if (const int status = emulator::fault("cuModuleLoadData")) return status;
  if (memcmp(image, "\x7f" "ELF", 4) != 0) return emulator::kInvalidImage;
  const char* kernels = emulator::text("EMULATOR_KERNELS");
  *module = kernels ? dlopen(kernels, RTLD_NOW) : nullptr;
  if (!*module) emulator::note(std::string("no kernels: ") + (kernels ? dlerror() : "EMULATOR_KERNELS is not set"));
  return *module ? 0 : emulator::kInvalidImage;
}
API int cuModuleUnload(void* module) { return dlclose(module); }
API int cuModuleGetFunction(void** function, void* module, const char* name) {
  *function = dlsym(module, (std::string("launch_") + name).c_str());
  return *function ? 0 : emulator::kNotFound;
}
API int cuLaunchKernel(void* function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned threads_y,
                       unsigned threads_z, unsigned, void* stream, void** arguments, void**) {
  if (const int status = emulator::fault("cuLaunchKernel", emulator::current_card())) return status;
  // What a GPU would refuse.
  if (!x || !y || !z || y > 65535 || z > 65535 || !threads) return emulator::kInvalidValue;
  if (threads * threads_y * threads_z > emulator::kMostThreads) return emulator::kInvalidValue;
  emulator::note("launch " + std::to_string(x) + " " + std::to_string(y) + " " + std::to_string(z));
  const void* const argument = *static_cast<void**>(arguments[0]);
  emulator::put(stream, [=] { reinterpret_cast<emulator::Launch>(function)(x, y, z, argument); });
  return 0;
}
