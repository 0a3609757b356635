// libnvidia-ml.so.1 without a GPU: what pynvml asks for.
#include <cstdint>

#include "driver.h"

using emulator::fault;

namespace {
constexpr int kNotFound = 6, kDriverNotLoaded = 9, kLost = 15, kInvalid = 2;
int card_of(void* handle) { return static_cast<int>(reinterpret_cast<intptr_t>(handle)) - 1; }
}  // namespace

#define FAULT(card)                                       \
  do {                                                    \
    if (const int status = fault(__func__, card)) return status; \
    if (emulator::lost(card)) return kLost;               \
  } while (0)

API int nvmlInitWithFlags(unsigned) {
  FAULT(-1);
  return 0;
}
API int nvmlInit_v2() { return nvmlInitWithFlags(0); }
API int nvmlShutdown() { return 0; }
API const char* nvmlErrorString(int status) {
  return status == kDriverNotLoaded ? "Driver Not Loaded" : status == kLost ? "GPU is lost"
         : status == kNotFound ? "Not Found" : "Unknown Error";
}
API int nvmlSystemGetDriverVersion(char* version, unsigned size) {
  FAULT(-1);
  snprintf(version, size, "580.00");
  return 0;
}
API int nvmlDeviceGetCount_v2(unsigned* count) {
  FAULT(-1);
  *count = static_cast<unsigned>(emulator::cards());
  return 0;
}
API int nvmlDeviceGetHandleByIndex_v2(unsigned card, void** handle) {
  if (static_cast<int>(card) >= emulator::cards()) return kInvalid;
  FAULT(static_cast<int>(card));
  *handle = reinterpret_cast<void*>(static_cast<intptr_t>(card) + 1);
  return 0;
}
API int nvmlDeviceGetName(void* handle, char* name, unsigned size) {
  FAULT(card_of(handle));
  const char* given = emulator::text("EMULATOR_NAME");
  snprintf(name, size, "%s %d", given ? given : "Emulated GPU", card_of(handle));
  return 0;
}
API int nvmlDeviceGetMemoryInfo(void* handle, unsigned long long* memory) {
  FAULT(card_of(handle));
  memory[0] = 24ull << 30;
  memory[1] = 20ull << 30;
  memory[2] = 4ull << 30;
  return 0;
}
