// libnvidia-ml.so.1 without a GPU: what pynvml asks for.
#include <sys/file.h>

#include <cstdint>

#include "driver.h"

using emulator::fault;

namespace {
constexpr int kNotFound = 6, kDriverNotLoaded = 9, kLost = 15, kInvalid = 2;
int card_of(void* handle) { return static_cast<int>(reinterpret_cast<intptr_t>(handle)) - 1; }

// The sessions that are open on a card, in all processes.
unsigned open_sessions(int card) {
  unsigned count = 0;
  for (int place = 0; place < emulator::kMostSessions; place++) {
    const int file = open(emulator::session_file(card, place).c_str(), O_RDWR | O_CLOEXEC);
    if (file < 0) break;  // places are filled from the first on
    if (flock(file, LOCK_SH | LOCK_NB)) count++;
    close(file);
  }
  return count;
}

// EMULATOR_BUSY is the load of each card's encoders in percent, with commas between them.
unsigned busy(int card) {
  const char* at = emulator::text("EMULATOR_BUSY");
  for (; at && card > 0; card--) at = strchr(at, ',') ? strchr(at, ',') + 1 : nullptr;
  return at ? static_cast<unsigned>(atoi(at)) : 0;
}
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
  snprintf(name, size, "%s", emulator::card_name(card_of(handle)).c_str());
  return 0;
}
API int nvmlDeviceGetMemoryInfo(void* handle, unsigned long long* memory) {
  FAULT(card_of(handle));
  // EMULATOR_CARD_MEMORY is the memory of each card in MiB.
  const unsigned long long all = static_cast<unsigned long long>(emulator::number("EMULATOR_CARD_MEMORY", 24 << 10)) << 20;
  memory[0] = all;
  memory[1] = all / 6 * 5;
  memory[2] = all - memory[1];
  return 0;
}
API int nvmlDeviceGetUUID(void* handle, char* uuid, unsigned size) {
  FAULT(card_of(handle));
  const unsigned byte = static_cast<unsigned>(card_of(handle));  // as in CUDA
  std::string text = "GPU-";
  for (int number = 0; number < 16; number++) {
    char two[3];
    snprintf(two, sizeof two, "%02x", byte);
    text += std::string(number == 4 || number == 6 || number == 8 || number == 10 ? "-" : "") + two;
  }
  snprintf(uuid, size, "%s", text.c_str());
  return 0;
}
API int nvmlDeviceGetEncoderStats(void* handle, unsigned* sessions, unsigned* fps, unsigned* latency) {
  FAULT(card_of(handle));
  *sessions = open_sessions(card_of(handle));
  *fps = *latency = 0;
  return 0;
}
API int nvmlDeviceGetEncoderUtilization(void* handle, unsigned* percent, unsigned* period) {
  FAULT(card_of(handle));
  *percent = busy(card_of(handle));
  *period = 100000;
  return 0;
}
API int nvmlDeviceGetUtilizationRates(void* handle, unsigned* rates) {
  FAULT(card_of(handle));
  rates[0] = rates[1] = 0;
  return 0;
}
