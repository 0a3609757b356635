// libcuda.so.1 without a GPU: device memory is host memory, and everything is done when the call returns. It has every
// name that FFmpeg's loader wants; what an encode of host frames does not use answers CUDA_ERROR_NOT_SUPPORTED.
#include <cstdint>

#include "driver.h"
#include "launch.h"

using emulator::cards;
using emulator::fault;
using emulator::lost;
using emulator::number;

namespace {

using Result = int;
using Pointer = uint64_t;
using Stream = void*;

constexpr Result kOk = 0, kInvalidValue = 1, kOutOfMemory = 2, kNoDevice = 100, kInvalidDevice = 101,
                 kInvalidContext = 201, kNotSupported = 801, kUnknown = 999;
constexpr int kMaxCards = 16, kMaxDepth = 64;

struct Context {
  int card;  // first: the emulated NVENC reads it
  bool primary;
  int users;
  unsigned flags;
};

Context primary_contexts[kMaxCards];
thread_local Context* current[kMaxDepth];
thread_local int depth = 0;

// The cards that CUDA_VISIBLE_DEVICES shows, in its order; their number is returned.
int visible_cards(int* shown = nullptr) {
  const char* only = getenv("CUDA_VISIBLE_DEVICES");
  if (!only) {
    for (int card = 0; shown && card < cards(); card++) shown[card] = card;
    return cards();
  }
  int named = 0;
  for (const char* at = only; *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : "") {
    char* end;
    const long card = strtol(at, &end, 10);
    if (end == at || card < 0 || card >= cards()) break;  // as CUDA: nothing from the first wrong one on
    if (named == kMaxCards) break;
    if (shown) shown[named] = static_cast<int>(card);
    named++;
  }
  return named;
}

int here() { return depth ? current[depth - 1]->card : -1; }

}  // namespace

int emulator::current_card() { return here(); }

#define FAULT(card)                                       \
  do {                                                    \
    if (const int status = fault(__func__, card)) return status; \
    if (lost(card)) return kUnknown;                      \
  } while (0)

API Result cuInit(unsigned) {
  FAULT(-1);
  return visible_cards() ? kOk : kNoDevice;
}
API Result cuDriverGetVersion(int* version) {
  *version = number("EMULATOR_CUDA", 13000);
  return kOk;
}
API Result cuDeviceGetCount(int* count) {
  FAULT(-1);
  *count = visible_cards();
  return kOk;
}
API Result cuDeviceGet(int* card, int index) {
  int shown[kMaxCards];
  if (index < 0 || index >= visible_cards(shown)) return kInvalidDevice;
  FAULT(shown[index]);
  *card = shown[index];
  return kOk;
}
API Result cuDeviceGetName(char* name, int size, int card) {
  FAULT(card);
  snprintf(name, size, "%s", emulator::card_name(card).c_str());
  return kOk;
}
API Result cuDeviceComputeCapability(int* major, int* minor, int card) {
  FAULT(card);
  *major = number("EMULATOR_CAPABILITY", 89) / 10;
  *minor = number("EMULATOR_CAPABILITY", 89) % 10;
  return kOk;
}
API Result cuDeviceGetAttribute(int* value, int attribute, int) {
  constexpr int kMajor = 75, kMinor = 76, kUnified = 41, kTextureAlignment = 14;
  const int capability = number("EMULATOR_CAPABILITY", 89);
  *value = attribute == kMajor ? capability / 10 : attribute == kMinor ? capability % 10
           : attribute == kUnified ? 1 : attribute == kTextureAlignment ? 512 : 0;
  return kOk;
}
API Result cuDeviceGetUuid(void* uuid, int card) {
  memset(uuid, card, 16);  // as in NVML
  return kOk;
}
API Result cuDevicePrimaryCtxRetain(Context** context, int card) {
  FAULT(card);
  primary_contexts[card].card = card;
  primary_contexts[card].primary = true;
  primary_contexts[card].users++;
  *context = &primary_contexts[card];
  return kOk;
}
API Result cuDevicePrimaryCtxRelease(int card) {
  primary_contexts[card].users--;
  return kOk;
}
API Result cuDevicePrimaryCtxSetFlags(int card, unsigned flags) {
  primary_contexts[card].flags = flags;
  return kOk;
}
API Result cuDevicePrimaryCtxGetState(int card, unsigned* flags, int* active) {
  // With EMULATOR_PRIMARY another user of the process has it active, without the flags that FFmpeg wants.
  *flags = primary_contexts[card].flags;
  *active = primary_contexts[card].users > 0 || number("EMULATOR_PRIMARY", 0);
  return kOk;
}
API Result cuDevicePrimaryCtxReset(int) { return kOk; }
API Result cuCtxCreate_v2(Context** context, unsigned flags, int card) {
  FAULT(card);
  if (depth == kMaxDepth) return kInvalidValue;
  *context = new Context{card, false, 1, flags};
  current[depth++] = *context;
  return kOk;
}
API Result cuCtxDestroy_v2(Context* context) {
  if (depth && current[depth - 1] == context) depth--;
  if (!context->primary) delete context;
  return kOk;
}
API Result cuCtxPushCurrent_v2(Context* context) {
  FAULT(context->card);
  if (depth == kMaxDepth) return kInvalidValue;
  current[depth++] = context;
  return kOk;
}
API Result cuCtxPopCurrent_v2(Context** context) {
  if (!depth) return kInvalidContext;
  depth--;
  if (context) *context = current[depth];
  return kOk;
}
API Result cuCtxGetCurrent(Context** context) {
  *context = depth ? current[depth - 1] : nullptr;
  return kOk;
}
API Result cuCtxSetCurrent(Context* context) {
  FAULT(context->card);
  if (!depth) depth = 1;
  current[depth - 1] = context;
  return kOk;
}
API Result cuCtxGetDevice(int* card) {
  if (!depth) return kInvalidContext;
  *card = here();
  return kOk;
}
API Result cuCtxSetLimit(int, size_t) { return kOk; }
API Result cuCtxSynchronize() {
  FAULT(here());
  emulator::run_all();
  return kOk;
}

// The memory that this process has of the cards, EMULATOR_MEMORY bytes at most.
std::mutex memory_lock;
struct Allocation {
  size_t size;
  int card;
};
std::map<Pointer, Allocation> allocations;
size_t allocated = 0;

API Result cuMemAlloc_v2(Pointer* pointer, size_t size) {
  FAULT(here());
  const std::lock_guard<std::mutex> guard(memory_lock);
  if (!size) return kInvalidValue;
  const char* most = emulator::text("EMULATOR_MEMORY");
  if (most && allocated + size > strtoull(most, nullptr, 10)) return kOutOfMemory;
  void* memory = nullptr;
  if (posix_memalign(&memory, 512, size)) return kOutOfMemory;
  *pointer = reinterpret_cast<Pointer>(memory);
  allocations[*pointer] = {size, here()};
  allocated += size;
  return kOk;
}
// For the emulated NVENC: whether so many bytes from an address on are one allocation on a card.
API bool emulator_has(int card, Pointer address, size_t size) {
  const std::lock_guard<std::mutex> guard(memory_lock);
  auto found = allocations.upper_bound(address);
  if (found == allocations.begin()) return false;
  --found;
  return found->second.card == card && address + size <= found->first + found->second.size;
}
API Result cuMemAllocManaged(Pointer* pointer, size_t size, unsigned) { return cuMemAlloc_v2(pointer, size); }
API Result cuMemAllocPitch_v2(Pointer* pointer, size_t* pitch, size_t width, size_t height, unsigned) {
  *pitch = (width + 511) & ~size_t{511};
  return cuMemAlloc_v2(pointer, *pitch * height);
}
API Result cuMemAllocAsync(Pointer* pointer, size_t size, Stream) { return cuMemAlloc_v2(pointer, size); }
API Result cuMemFree_v2(Pointer pointer) {
  const std::lock_guard<std::mutex> guard(memory_lock);
  const auto found = allocations.find(pointer);
  if (found == allocations.end()) return kInvalidValue;
  emulator::run_all();
  allocated -= found->second.size;
  allocations.erase(found);
  free(reinterpret_cast<void*>(pointer));
  return kOk;
}
API Result cuMemFreeAsync(Pointer pointer, Stream) { return cuMemFree_v2(pointer); }
API Result cuMemHostAlloc(void** pointer, size_t size, unsigned) {
  FAULT(here());
  *pointer = malloc(size ? size : 1);
  return *pointer ? kOk : kOutOfMemory;
}
API Result cuMemFreeHost(void* pointer) {
  emulator::run_all();
  free(pointer);
  return kOk;
}
API Result cuMemcpy(Pointer target, Pointer source, size_t size) {
  FAULT(here());
  emulator::run_all();
  memcpy(reinterpret_cast<void*>(target), reinterpret_cast<const void*>(source), size);
  return kOk;
}
API Result cuMemcpyAsync(Pointer target, Pointer source, size_t size, Stream stream) {
  FAULT(here());
  emulator::put(stream, [=] {
    memcpy(reinterpret_cast<void*>(target), reinterpret_cast<const void*>(source), size);
  });
  return kOk;
}
API Result cuMemcpyHtoD_v2(Pointer target, Pointer source, size_t size) { return cuMemcpy(target, source, size); }
API Result cuMemcpyHtoDAsync_v2(Pointer target, Pointer source, size_t size, Stream stream) {
  return cuMemcpyAsync(target, source, size, stream);
}
API Result cuMemcpyDtoH_v2(Pointer target, Pointer source, size_t size) {
  emulator::note("download " + std::to_string(size));
  return cuMemcpy(target, source, size);
}
API Result cuMemcpyDtoHAsync_v2(Pointer target, Pointer source, size_t size, Stream stream) {
  emulator::note("download " + std::to_string(size));
  return cuMemcpyAsync(target, source, size, stream);
}
API Result cuMemcpyDtoD_v2(Pointer target, Pointer source, size_t size) { return cuMemcpy(target, source, size); }
API Result cuMemcpyDtoDAsync_v2(Pointer target, Pointer source, size_t size, Stream stream) {
  return cuMemcpyAsync(target, source, size, stream);
}
API Result cuMemsetD8Async(Pointer target, unsigned char value, size_t size, Stream) {
  memset(reinterpret_cast<void*>(target), value, size);
  return kOk;
}

struct Copy2D {
  size_t source_x, source_y;
  int source_type;
  const char* source_host;
  Pointer source_device;
  void* source_array;
  size_t source_pitch;
  size_t target_x, target_y;
  int target_type;
  char* target_host;
  Pointer target_device;
  void* target_array;
  size_t target_pitch;
  size_t width, height;
};
API Result cuMemcpy2D_v2(const Copy2D* copy) {
  constexpr int kHost = 1;
  FAULT(here());
  if (copy->target_type == kHost) emulator::note("download " + std::to_string(copy->width * copy->height));
  const char* source = copy->source_type == kHost ? copy->source_host : reinterpret_cast<const char*>(copy->source_device);
  char* target = copy->target_type == kHost ? copy->target_host : reinterpret_cast<char*>(copy->target_device);
  for (size_t row = 0; row < copy->height; row++) {
    memcpy(target + (copy->target_y + row) * copy->target_pitch + copy->target_x,
           source + (copy->source_y + row) * copy->source_pitch + copy->source_x, copy->width);
  }
  return kOk;
}
API Result cuMemcpy2DAsync_v2(const Copy2D* copy, Stream) { return cuMemcpy2D_v2(copy); }

API Result cuStreamCreate(Stream* stream, unsigned) {
  FAULT(here());
  *stream = calloc(1, 8);
  return kOk;
}
API Result cuStreamCreateWithPriority(Stream* stream, unsigned flags, int) { return cuStreamCreate(stream, flags); }
API Result cuStreamDestroy_v2(Stream stream) {
  emulator::run(stream);
  free(stream);
  return kOk;
}
API Result cuStreamQuery(Stream) { return kOk; }
API Result cuStreamSynchronize(Stream stream) {
  FAULT(here());
  emulator::run(stream);
  return kOk;
}
API Result cuStreamWaitEvent(Stream, void*, unsigned) { return kOk; }
API Result cuCtxGetStreamPriorityRange(int* least, int* greatest) {
  *least = *greatest = 0;
  return kOk;
}
API Result cuEventCreate(void** event, unsigned) {
  *event = calloc(1, 8);
  return kOk;
}
API Result cuEventDestroy_v2(void* event) {
  free(event);
  return kOk;
}
API Result cuEventSynchronize(void*) { return kOk; }
API Result cuEventQuery(void*) { return kOk; }
API Result cuEventRecord(void*, Stream) { return kOk; }
API Result cuLaunchHostFunc(Stream, void (*call)(void*), void* data) {
  call(data);
  return kOk;
}

API Result cuGetErrorName(int status, const char** name) {
  switch (status) {
    case kOk: *name = "CUDA_SUCCESS"; break;
    case kInvalidValue: *name = "CUDA_ERROR_INVALID_VALUE"; break;
    case kOutOfMemory: *name = "CUDA_ERROR_OUT_OF_MEMORY"; break;
    case kNoDevice: *name = "CUDA_ERROR_NO_DEVICE"; break;
    case kInvalidDevice: *name = "CUDA_ERROR_INVALID_DEVICE"; break;
    case kInvalidContext: *name = "CUDA_ERROR_INVALID_CONTEXT"; break;
    case 700: *name = "CUDA_ERROR_ILLEGAL_ADDRESS"; break;
    case 719: *name = "CUDA_ERROR_LAUNCH_FAILED"; break;
    case kNotSupported: *name = "CUDA_ERROR_NOT_SUPPORTED"; break;
    case 803: *name = "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"; break;
    default: *name = "CUDA_ERROR_UNKNOWN"; break;
  }
  return kOk;
}
API Result cuGetErrorString(int, const char** words) {
  *words = "emulated error";
  return kOk;
}

#define NOT_EMULATED(name) \
  API Result name() { return kNotSupported; }
NOT_EMULATED(cuStreamAddCallback)
NOT_EMULATED(cuLinkCreate)
NOT_EMULATED(cuLinkAddData)
NOT_EMULATED(cuLinkComplete)
NOT_EMULATED(cuLinkDestroy)
NOT_EMULATED(cuModuleGetGlobal)
NOT_EMULATED(cuTexObjectCreate)
NOT_EMULATED(cuTexObjectDestroy)
NOT_EMULATED(cuGLGetDevices_v2)
NOT_EMULATED(cuGraphicsGLRegisterImage)
NOT_EMULATED(cuGraphicsUnregisterResource)
NOT_EMULATED(cuGraphicsMapResources)
NOT_EMULATED(cuGraphicsUnmapResources)
NOT_EMULATED(cuGraphicsSubResourceGetMappedArray)
NOT_EMULATED(cuGraphicsResourceGetMappedPointer_v2)
NOT_EMULATED(cuArrayCreate_v2)
NOT_EMULATED(cuArray3DCreate_v2)
NOT_EMULATED(cuArray3DGetDescriptor_v2)
NOT_EMULATED(cuArrayGetPlane)
NOT_EMULATED(cuMemsetD16Async)
NOT_EMULATED(cuMemsetD32Async)
NOT_EMULATED(cuMemsetD2D8Async)
NOT_EMULATED(cuMemsetD2D16Async)
NOT_EMULATED(cuMemsetD2D32Async)
#ifndef EMULATE_OLD_DRIVER  // which lacks this name
NOT_EMULATED(cuArrayDestroy)
#endif
