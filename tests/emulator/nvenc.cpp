// libnvidia-encode.so.1 without a GPU: streams without loss, in the order that B-frames ask for.
//
// Built against any NVENC API from 11.1 on and called by later ones: all that is read here lies in the same places in
// 11.1, 12.2 and 13.0, so only the kind of a structure is compared, not its version.
#include <ffnvcodec/nvEncodeAPI.h>
#include <dlfcn.h>
#include <sys/file.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <fstream>
#include <iterator>

#include "driver.h"
#include "h264.h"
#include "hevc.h"

using namespace emulator;

namespace {

// Of API 12.0, which Debian's header does not have.
constexpr GUID kAv1 = {0x0a352289, 0x0aa7, 0x4759, {0x86, 0x2d, 0x5d, 0x15, 0xcd, 0x16, 0xd2, 0x54}};
constexpr int kMinWidth = 145, kMinHeight = 49;

bool equal(const GUID& one, const GUID& two) { return memcmp(&one, &two, sizeof one) == 0; }

bool known(uint32_t version) { return (version & 0x70000000u) == 0x70000000u && (version & 0xFF) >= 11; }

struct Capability {
  const char* name;
  NV_ENC_CAPS number;
  int value;
};
const Capability kCapabilities[] = {
    {"NUM_MAX_BFRAMES", NV_ENC_CAPS_NUM_MAX_BFRAMES, 4},
    {"SUPPORTED_RATECONTROL_MODES", NV_ENC_CAPS_SUPPORTED_RATECONTROL_MODES, 63},
    {"SUPPORT_FIELD_ENCODING", NV_ENC_CAPS_SUPPORT_FIELD_ENCODING, 0},
    {"SUPPORT_CABAC", NV_ENC_CAPS_SUPPORT_CABAC, 1},
    {"SUPPORT_LOSSLESS_ENCODE", NV_ENC_CAPS_SUPPORT_LOSSLESS_ENCODE, 1},
    {"SUPPORT_LOOKAHEAD", NV_ENC_CAPS_SUPPORT_LOOKAHEAD, 1},
    {"SUPPORT_TEMPORAL_AQ", NV_ENC_CAPS_SUPPORT_TEMPORAL_AQ, 1},
    {"SUPPORT_BFRAME_REF_MODE", NV_ENC_CAPS_SUPPORT_BFRAME_REF_MODE, 3},
    {"SUPPORT_MULTIPLE_REF_FRAMES", NV_ENC_CAPS_SUPPORT_MULTIPLE_REF_FRAMES, 1},
    {"SUPPORT_WEIGHTED_PREDICTION", NV_ENC_CAPS_SUPPORT_WEIGHTED_PREDICTION, 1},
    {"SUPPORT_YUV444_ENCODE", NV_ENC_CAPS_SUPPORT_YUV444_ENCODE, 0},
    {"SUPPORT_10BIT_ENCODE", NV_ENC_CAPS_SUPPORT_10BIT_ENCODE, 0},
    {"ASYNC_ENCODE_SUPPORT", NV_ENC_CAPS_ASYNC_ENCODE_SUPPORT, 0},
    {"WIDTH_MAX", NV_ENC_CAPS_WIDTH_MAX, 4096},
    {"HEIGHT_MAX", NV_ENC_CAPS_HEIGHT_MAX, 4096},
    {"WIDTH_MIN", NV_ENC_CAPS_WIDTH_MIN, kMinWidth},
    {"HEIGHT_MIN", NV_ENC_CAPS_HEIGHT_MIN, kMinHeight},
};

// What a card can do: EMULATOR_CAPABILITIES, as NAME=VALUE with commas, or else what the table says.
int capability(NV_ENC_CAPS wanted) {
  for (const Capability& one : kCapabilities) {
    if (one.number != wanted) continue;
    const std::string given = std::string(",") + (text("EMULATOR_CAPABILITIES") ? text("EMULATOR_CAPABILITIES") : "");
    const size_t at = given.find(std::string(",") + one.name + "=");
    return at == std::string::npos ? one.value : atoi(given.c_str() + given.find('=', at) + 1);
  }
  return 1;
}

// EMULATOR_SESSIONS is how many sessions all processes have together, as a driver counts them: a lock for each, which
// ends with its process. Every session also has a lock of its card, which NVML counts.
class SessionLock {
 public:
  bool take(int card) {
    for (int place = 0; place < emulator::kMostSessions && of_card_ < 0; place++) {
      of_card_ = locked(emulator::session_file(card, place));
    }
    const int all = number("EMULATOR_SESSIONS", 0);
    for (int place = 0; place < all && of_all_ < 0; place++) {
      of_all_ = locked(shared("session." + std::to_string(place)));
    }
    return !all || of_all_ >= 0;
  }
  ~SessionLock() {
    for (const int file : {of_card_, of_all_}) {
      if (file >= 0) close(file);
    }
  }

 private:
  static int locked(const std::string& name) {
    const int file = open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file >= 0 && flock(file, LOCK_EX | LOCK_NB) == 0) return file;
    if (file >= 0) close(file);
    return -1;
  }
  int of_card_ = -1, of_all_ = -1;
};

struct Buffer {
  Bytes memory;
  const uint8_t* data = nullptr;
  int pitch = 0, height = 0;
  NV_ENC_BUFFER_FORMAT format{};
  bool mapped = false;
};

struct Output {
  Bytes data;
  uint64_t time = 0, duration = 0;
  NV_ENC_PIC_TYPE type{};
  uint32_t number = 0;
  bool ready = false;
};

struct Waiting {
  uint64_t time, duration;
  Output* output;
  bool idr;
  int shown;
  Bytes pixels;
};

enum class Codec { kH264, kHevc, kAv1 };

struct Session {
  int card = 0;
  SessionLock lock;
  Codec codec = Codec::kH264;
  Format format;
  int period = 0, b_frames = 0;
  int given = 0, since_idr = 0, coded = 0, frame_num = 0, idr_number = 0, idr_shown = 0;
  std::deque<Waiting> waiting;
  Bytes av1;
  std::string error = "EncodeAPI Internal Error.";
};

NVENCSTATUS failure(const char* call, void* encoder) {
  const int card = encoder ? static_cast<Session*>(encoder)->card : -1;
  const int status = fault(call, card);
  return static_cast<NVENCSTATUS>(status ? status : lost(card) ? NV_ENC_ERR_GENERIC : NV_ENC_SUCCESS);
}
#define FAULT(call, encoder)                                       \
  do {                                                             \
    if (const NVENCSTATUS status = failure(call, encoder)) return status; \
  } while (0)

// The sequence header of an AV1 temporal unit, whose OBUs all have their sizes (AV1 specification, 5.3).
Bytes av1_header(const Bytes& unit) {
  for (size_t at = 0; at + 1 < unit.size();) {
    const size_t start = at;
    const int type = unit[at] >> 3 & 15;
    at += unit[at] & 4 ? 2 : 1;  // an extension is a byte more
    size_t size = 0;
    for (int shift = 0; at < unit.size(); shift += 7) {
      const uint8_t byte = unit[at++];
      size |= static_cast<size_t>(byte & 127) << shift;
      if (!(byte & 128)) break;
    }
    at = std::min(at + size, unit.size());
    if (type == 1) return Bytes(unit.begin() + start, unit.begin() + at);
  }
  return {};
}

void put_headers(Bytes& to, const Session& session) {
  if (session.codec == Codec::kAv1) to = av1_header(session.av1);
  if (session.codec == Codec::kH264) put_h264_headers(to, session.format);
  if (session.codec == Codec::kHevc) put_hevc_headers(to, session.format);
}

// Copy an input's planes, widened to whole blocks, as Y, U, V.
void read_planes(const Buffer& input, const Format& format, Bytes& pixels) {
  const int width = format.coded_width(), height = format.coded_height();
  pixels.resize(static_cast<size_t>(width) * height * 3 / 2);
  for (int y = 0; y < height; y++) {
    const uint8_t* from = input.data + static_cast<size_t>(std::min(y, format.height - 1)) * input.pitch;
    uint8_t* to = pixels.data() + static_cast<size_t>(y) * width;
    for (int x = 0; x < width; x++) to[x] = from[std::min(x, format.width - 1)];
  }
  const uint8_t* chroma = input.data + static_cast<size_t>(input.pitch) * input.height;
  const bool interleaved = input.format == NV_ENC_BUFFER_FORMAT_NV12;
  for (int plane = 0; plane < 2; plane++) {
    // IYUV has U first, YV12 has V first, both with half the pitch.
    const int place = input.format == NV_ENC_BUFFER_FORMAT_IYUV ? plane : 1 - plane;
    const uint8_t* apart = chroma + static_cast<size_t>(place) * (input.pitch / 2) * (input.height / 2);
    uint8_t* to = pixels.data() + static_cast<size_t>(width) * height * (4 + plane) / 4;
    for (int y = 0; y < height / 2; y++) {
      const size_t row = std::min(y, (format.height + 1) / 2 - 1);
      for (int x = 0; x < width / 2; x++) {
        const int column = std::min(x, (format.width + 1) / 2 - 1);
        *to++ = interleaved ? chroma[row * input.pitch + 2 * column + plane] : apart[row * (input.pitch / 2) + column];
      }
    }
  }
}

void code(Session& session, const Waiting& waiting, Output& output, bool reference) {
  output.data.clear();
  if (waiting.idr) {
    if (session.codec != Codec::kAv1) put_headers(output.data, session);
    session.frame_num = 0;
    session.idr_shown = waiting.shown;
    session.idr_number++;
  }
  Picture picture;
  picture.pixels = waiting.pixels.data();
  picture.idr = waiting.idr;
  picture.reference = reference;
  picture.order = waiting.shown - session.idr_shown;
  picture.frame_num = session.frame_num;
  picture.idr_number = session.idr_number;
  if (session.codec == Codec::kH264) put_h264_picture(output.data, session.format, picture);
  if (session.codec == Codec::kHevc) put_hevc_picture(output.data, session.format, picture);
  if (session.codec == Codec::kAv1) output.data = session.av1;
  if (reference) session.frame_num++;
  output.time = waiting.time;
  output.duration = waiting.duration;
  output.type = waiting.idr ? NV_ENC_PIC_TYPE_IDR : reference ? NV_ENC_PIC_TYPE_P : NV_ENC_PIC_TYPE_B;
  output.number = session.coded++;
  output.ready = true;
}

// Code what waits: the last picture first, then those before it as B-frames. Outputs are filled in the order given.
void flush(Session& session) {
  if (session.waiting.empty()) return;
  std::vector<Output*> outputs;
  for (const Waiting& one : session.waiting) outputs.push_back(one.output);
  code(session, session.waiting.back(), *outputs[0], true);
  for (size_t at = 0; at + 1 < session.waiting.size(); at++) {
    code(session, session.waiting[at], *outputs[at + 1], false);
  }
  session.waiting.clear();
}

NVENCSTATUS NVENCAPI OpenEncodeSessionEx(NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS* given, void** encoder) {
  const int card = *static_cast<int*>(given->device);
  if (const int status = fault("OpenEncodeSessionEx", card)) return static_cast<NVENCSTATUS>(status);
  if (lost(card)) return NV_ENC_ERR_DEVICE_NOT_EXIST;
  auto* session = new Session;
  session->card = card;
  if (!session->lock.take(card)) {
    delete session;
    note("refused card=" + std::to_string(card));
    return NV_ENC_ERR_INCOMPATIBLE_CLIENT_KEY;
  }
  note("open card=" + std::to_string(card));
  *encoder = session;
  return NV_ENC_SUCCESS;
}

NVENCSTATUS NVENCAPI DestroyEncoder(void* encoder) {
  delete static_cast<Session*>(encoder);
  return NV_ENC_SUCCESS;
}

std::vector<GUID> codecs() {
  const std::string names = text("EMULATOR_CODECS") ? text("EMULATOR_CODECS") : "h264,hevc";
  std::vector<GUID> found;
  if (names.find("h264") != std::string::npos) found.push_back(NV_ENC_CODEC_H264_GUID);
  if (names.find("hevc") != std::string::npos) found.push_back(NV_ENC_CODEC_HEVC_GUID);
  if (names.find("av1") != std::string::npos) found.push_back(kAv1);
  return found;
}

NVENCSTATUS NVENCAPI GetEncodeGUIDCount(void*, uint32_t* count) {
  *count = static_cast<uint32_t>(codecs().size());
  return NV_ENC_SUCCESS;
}

NVENCSTATUS NVENCAPI GetEncodeGUIDs(void*, GUID* guids, uint32_t size, uint32_t* count) {
  const std::vector<GUID> all = codecs();
  *count = std::min<uint32_t>(size, static_cast<uint32_t>(all.size()));
  std::copy_n(all.begin(), *count, guids);
  return NV_ENC_SUCCESS;
}

NVENCSTATUS NVENCAPI GetEncodeCaps(void* encoder, GUID, NV_ENC_CAPS_PARAM* asked, int* value) {
  FAULT("GetEncodeCaps", encoder);
  *value = capability(asked->capsToQuery);
  return NV_ENC_SUCCESS;
}

NVENCSTATUS NVENCAPI GetEncodePresetConfigEx(void* encoder, GUID codec, GUID, NV_ENC_TUNING_INFO,
                                             NV_ENC_PRESET_CONFIG* config) {
  FAULT("GetEncodePresetConfigEx", encoder);
  if (!known(config->version) || !known(config->presetCfg.version)) return NV_ENC_ERR_INVALID_VERSION;
  NV_ENC_CONFIG& preset = config->presetCfg;
  preset.gopLength = 250;
  preset.frameIntervalP = 1;
  preset.frameFieldMode = NV_ENC_PARAMS_FRAME_FIELD_MODE_FRAME;
  preset.rcParams.version = NV_ENC_RC_PARAMS_VER;
  preset.rcParams.rateControlMode = NV_ENC_PARAMS_RC_VBR;
  if (equal(codec, NV_ENC_CODEC_H264_GUID)) preset.encodeCodecConfig.h264Config.idrPeriod = 250;
  if (equal(codec, NV_ENC_CODEC_HEVC_GUID)) preset.encodeCodecConfig.hevcConfig.idrPeriod = 250;
  return NV_ENC_SUCCESS;
}

template <typename Vui>
void read_colours(Format& format, const Vui& vui) {
  format.full_range = vui.videoFullRangeFlag;
  format.coloured = vui.colourDescriptionPresentFlag;
  format.primaries = vui.colourPrimaries;
  format.transfer = vui.transferCharacteristics;
  format.matrix = vui.colourMatrix;
}

// A line of what reached the driver, for tests of options.
void note_configuration(const Session& session, const NV_ENC_INITIALIZE_PARAMS& given) {
  const NV_ENC_CONFIG& config = *given.encodeConfig;
  const NV_ENC_RC_PARAMS& rate = config.rcParams;
  const int refs = session.codec == Codec::kH264   ? static_cast<int>(config.encodeCodecConfig.h264Config.numRefL0)
                   : session.codec == Codec::kHevc ? static_cast<int>(config.encodeCodecConfig.hevcConfig.numRefL0)
                                                   : 0;
  char line[512];
  snprintf(line, sizeof line,
           "init card=%d codec=%s size=%dx%d fps=%d/%d preset=%08x tuning=%d gop=%u idr=%d bf=%d refs=%d rc=%d "
           "average=%u maxrate=%u bufsize=%u cq=%.2f spatial_aq=%d temporal_aq=%d lookahead=%d multipass=%d",
           session.card, session.codec == Codec::kH264 ? "h264" : session.codec == Codec::kHevc ? "hevc" : "av1",
           session.format.width, session.format.height, session.format.fps_num, session.format.fps_den,
           static_cast<unsigned>(given.presetGUID.Data1), static_cast<int>(given.tuningInfo), config.gopLength,
           session.period, config.frameIntervalP - 1, refs, static_cast<int>(rate.rateControlMode),
           rate.averageBitRate, rate.maxBitRate, rate.vbvBufferSize,
           rate.targetQuality + rate.targetQualityLSB / 256.0, static_cast<int>(rate.enableAQ),
           static_cast<int>(rate.enableTemporalAQ), rate.enableLookahead ? rate.lookaheadDepth : 0,
           static_cast<int>(rate.multiPass));
  note(line);
}

NVENCSTATUS NVENCAPI InitializeEncoder(void* encoder, NV_ENC_INITIALIZE_PARAMS* given) {
  FAULT("InitializeEncoder", encoder);
  Session& session = *static_cast<Session*>(encoder);
  if (!known(given->version) || !given->encodeConfig || !known(given->encodeConfig->version)) {
    return NV_ENC_ERR_INVALID_VERSION;
  }
  if (given->encodeWidth < kMinWidth || given->encodeHeight < kMinHeight) {
    session.error = "Frame Dimension less than the minimum supported value.";
    return NV_ENC_ERR_INVALID_PARAM;
  }
  const NV_ENC_CONFIG& config = *given->encodeConfig;
  Format& format = session.format;
  format.width = static_cast<int>(given->encodeWidth);
  format.height = static_cast<int>(given->encodeHeight);
  format.fps_num = static_cast<int>(given->frameRateNum);
  format.fps_den = static_cast<int>(given->frameRateDen);
  session.b_frames = std::max(0, config.frameIntervalP - 1);
  format.reordered = session.b_frames ? 2 : 0;
  session.period = static_cast<int>(config.gopLength);
  if (equal(given->encodeGUID, NV_ENC_CODEC_H264_GUID)) {
    const auto& h264 = config.encodeCodecConfig.h264Config;
    read_colours(format, h264.h264VUIParameters);
    if (h264.idrPeriod && h264.idrPeriod != 0xFFFFFFFF) session.period = static_cast<int>(h264.idrPeriod);
  } else if (equal(given->encodeGUID, NV_ENC_CODEC_HEVC_GUID)) {
    session.codec = Codec::kHevc;
    const auto& hevc = config.encodeCodecConfig.hevcConfig;
    read_colours(format, hevc.hevcVUIParameters);
    if (hevc.idrPeriod && hevc.idrPeriod != 0xFFFFFFFF) session.period = static_cast<int>(hevc.idrPeriod);
  } else {
    session.codec = Codec::kAv1;  // every picture is the one that a real encoder made, in the file EMULATOR_AV1
    std::ifstream file(text("EMULATOR_AV1") ? text("EMULATOR_AV1") : "", std::ios::binary);
    session.av1.assign(std::istreambuf_iterator<char>(file), {});
    if (session.av1.empty()) return NV_ENC_ERR_UNSUPPORTED_PARAM;
  }
  note_configuration(session, *given);
  return NV_ENC_SUCCESS;
}

NVENCSTATUS NVENCAPI CreateInputBuffer(void* encoder, NV_ENC_CREATE_INPUT_BUFFER* given) {
  FAULT("CreateInputBuffer", encoder);
  auto* buffer = new Buffer;
  buffer->pitch = static_cast<int>((given->width + 63) & ~63u);
  buffer->height = static_cast<int>(given->height);
  buffer->format = given->bufferFmt;
  buffer->memory.resize(static_cast<size_t>(buffer->pitch) * (given->height + 1) * 3 / 2);
  buffer->data = buffer->memory.data();
  given->inputBuffer = buffer;
  return NV_ENC_SUCCESS;
}
NVENCSTATUS NVENCAPI DestroyInputBuffer(void*, NV_ENC_INPUT_PTR input) {
  delete static_cast<Buffer*>(input);
  return NV_ENC_SUCCESS;
}
NVENCSTATUS NVENCAPI LockInputBuffer(void* encoder, NV_ENC_LOCK_INPUT_BUFFER* given) {
  FAULT("LockInputBuffer", encoder);
  auto* buffer = static_cast<Buffer*>(given->inputBuffer);
  given->bufferDataPtr = buffer->memory.data();
  given->pitch = static_cast<uint32_t>(buffer->pitch);
  return NV_ENC_SUCCESS;
}
NVENCSTATUS NVENCAPI UnlockInputBuffer(void* encoder, NV_ENC_INPUT_PTR) {
  FAULT("UnlockInputBuffer", encoder);
  return NV_ENC_SUCCESS;
}
NVENCSTATUS NVENCAPI CreateBitstreamBuffer(void* encoder, NV_ENC_CREATE_BITSTREAM_BUFFER* given) {
  FAULT("CreateBitstreamBuffer", encoder);
  given->bitstreamBuffer = new Output;
  return NV_ENC_SUCCESS;
}
NVENCSTATUS NVENCAPI DestroyBitstreamBuffer(void*, NV_ENC_OUTPUT_PTR output) {
  delete static_cast<Output*>(output);
  return NV_ENC_SUCCESS;
}

NVENCSTATUS NVENCAPI RegisterResource(void* encoder, NV_ENC_REGISTER_RESOURCE* given) {
  FAULT("RegisterResource", encoder);
  // As a GPU: all planes are in one piece of the memory of the card that encodes.
  using Has = bool (*)(int card, uint64_t address, size_t size);
  static const auto has =
      reinterpret_cast<Has>(dlsym(dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD), "emulator_has"));
  const int card = static_cast<Session*>(encoder)->card;
  const size_t size = static_cast<size_t>(given->pitch) * given->height * 3 / 2;
  if (!has(card, reinterpret_cast<uint64_t>(given->resourceToRegister), size)) return NV_ENC_ERR_INVALID_PARAM;
  note("register card=" + std::to_string(card));
  auto* buffer = new Buffer;
  buffer->data = static_cast<const uint8_t*>(given->resourceToRegister);
  buffer->pitch = static_cast<int>(given->pitch);
  buffer->height = static_cast<int>(given->height);
  buffer->format = given->bufferFormat;
  given->registeredResource = buffer;
  return NV_ENC_SUCCESS;
}
NVENCSTATUS NVENCAPI UnregisterResource(void*, NV_ENC_REGISTERED_PTR resource) {
  if (static_cast<Buffer*>(resource)->mapped) return NV_ENC_ERR_INVALID_CALL;
  delete static_cast<Buffer*>(resource);
  return NV_ENC_SUCCESS;
}
NVENCSTATUS NVENCAPI MapInputResource(void* encoder, NV_ENC_MAP_INPUT_RESOURCE* given) {
  FAULT("MapInputResource", encoder);
  auto* buffer = static_cast<Buffer*>(given->registeredResource);
  buffer->mapped = true;
  given->mappedResource = buffer;
  given->mappedBufferFmt = buffer->format;
  return NV_ENC_SUCCESS;
}
NVENCSTATUS NVENCAPI UnmapInputResource(void*, NV_ENC_INPUT_PTR resource) {
  static_cast<Buffer*>(resource)->mapped = false;
  return NV_ENC_SUCCESS;
}
NVENCSTATUS NVENCAPI SetIOCudaStreams(void*, NV_ENC_CUSTREAM_PTR, NV_ENC_CUSTREAM_PTR) { return NV_ENC_SUCCESS; }

// EMULATOR_LOST, as CARD:PICTURES, is a card that is gone after so many pictures of a process, for all processes.
void count_picture(int card) {
  static std::atomic<int> pictures{0};
  const char* given = text("EMULATOR_LOST");
  if (!given || atoi(given) != card || !strchr(given, ':')) return;
  if (++pictures > atoi(strchr(given, ':') + 1)) lose(card);
}

NVENCSTATUS NVENCAPI EncodePicture(void* encoder, NV_ENC_PIC_PARAMS* given) {
  Session& session = *static_cast<Session*>(encoder);
  count_picture(session.card);
  FAULT("EncodePicture", encoder);
  if (!known(given->version)) return NV_ENC_ERR_INVALID_VERSION;
  if (given->encodePicFlags & NV_ENC_PIC_FLAG_EOS) {
    flush(session);
    return NV_ENC_SUCCESS;
  }
  Waiting one{given->inputTimeStamp, given->inputDuration, static_cast<Output*>(given->outputBitstream),
              false, session.given++, {}};
  one.output->ready = false;
  one.idr = one.shown == 0 || (given->encodePicFlags & NV_ENC_PIC_FLAG_FORCEIDR) ||
            (session.period > 0 && session.since_idr >= session.period);
  read_planes(*static_cast<const Buffer*>(given->inputBuffer), session.format, one.pixels);
  const bool idr = one.idr;
  if (idr) {
    session.since_idr = 0;
    flush(session);
  }
  session.since_idr++;
  session.waiting.push_back(std::move(one));
  if (!idr && static_cast<int>(session.waiting.size()) <= session.b_frames) return NV_ENC_ERR_NEED_MORE_INPUT;
  flush(session);
  return NV_ENC_SUCCESS;
}

NVENCSTATUS NVENCAPI LockBitstream(void* encoder, NV_ENC_LOCK_BITSTREAM* given) {
  FAULT("LockBitstream", encoder);
  auto* output = static_cast<Output*>(given->outputBitstream);
  if (!output->ready) return NV_ENC_ERR_INVALID_PARAM;
  given->bitstreamBufferPtr = output->data.data();
  given->bitstreamSizeInBytes = static_cast<uint32_t>(output->data.size());
  given->outputTimeStamp = output->time;
  given->outputDuration = output->duration;
  given->pictureType = output->type;
  given->pictureStruct = NV_ENC_PIC_STRUCT_FRAME;
  given->frameIdx = output->number;
  given->frameAvgQP = 20;
  given->numSlices = 1;
  return NV_ENC_SUCCESS;
}
NVENCSTATUS NVENCAPI UnlockBitstream(void* encoder, NV_ENC_OUTPUT_PTR) {
  FAULT("UnlockBitstream", encoder);
  return NV_ENC_SUCCESS;
}

NVENCSTATUS NVENCAPI GetSequenceParams(void* encoder, NV_ENC_SEQUENCE_PARAM_PAYLOAD* given) {
  FAULT("GetSequenceParams", encoder);
  Bytes headers;
  put_headers(headers, *static_cast<Session*>(encoder));
  if (headers.size() > given->inBufferSize) return NV_ENC_ERR_NOT_ENOUGH_BUFFER;
  std::copy(headers.begin(), headers.end(), static_cast<uint8_t*>(given->spsppsBuffer));
  *given->outSPSPPSPayloadSize = static_cast<uint32_t>(headers.size());
  return NV_ENC_SUCCESS;
}
NVENCSTATUS NVENCAPI ReconfigureEncoder(void*, NV_ENC_RECONFIGURE_PARAMS*) { return NV_ENC_SUCCESS; }
const char* NVENCAPI GetLastErrorString(void* encoder) { return static_cast<Session*>(encoder)->error.c_str(); }

}  // namespace

// EMULATOR_API is the API's version that the driver has: the major one in the upper four bits, as in 0xD0.
API NVENCSTATUS NvEncodeAPIGetMaxSupportedVersion(uint32_t* version) {
  FAULT("GetMaxSupportedVersion", nullptr);
  *version = static_cast<uint32_t>(number("EMULATOR_API", 0xDF));
  return NV_ENC_SUCCESS;
}

API NVENCSTATUS NvEncodeAPICreateInstance(NV_ENCODE_API_FUNCTION_LIST* list) {
  FAULT("CreateInstance", nullptr);
  if (!known(list->version)) return NV_ENC_ERR_INVALID_VERSION;
  list->nvEncOpenEncodeSessionEx = OpenEncodeSessionEx;
  list->nvEncDestroyEncoder = DestroyEncoder;
  list->nvEncGetEncodeGUIDCount = GetEncodeGUIDCount;
  list->nvEncGetEncodeGUIDs = GetEncodeGUIDs;
  list->nvEncGetEncodeCaps = GetEncodeCaps;
  list->nvEncGetEncodePresetConfigEx = GetEncodePresetConfigEx;
  list->nvEncInitializeEncoder = InitializeEncoder;
  list->nvEncCreateInputBuffer = CreateInputBuffer;
  list->nvEncDestroyInputBuffer = DestroyInputBuffer;
  list->nvEncLockInputBuffer = LockInputBuffer;
  list->nvEncUnlockInputBuffer = UnlockInputBuffer;
  list->nvEncCreateBitstreamBuffer = CreateBitstreamBuffer;
  list->nvEncDestroyBitstreamBuffer = DestroyBitstreamBuffer;
  list->nvEncRegisterResource = RegisterResource;
  list->nvEncUnregisterResource = UnregisterResource;
  list->nvEncMapInputResource = MapInputResource;
  list->nvEncUnmapInputResource = UnmapInputResource;
  list->nvEncSetIOCudaStreams = SetIOCudaStreams;
  list->nvEncEncodePicture = EncodePicture;
  list->nvEncLockBitstream = LockBitstream;
  list->nvEncUnlockBitstream = UnlockBitstream;
  list->nvEncGetSequenceParams = GetSequenceParams;
  list->nvEncReconfigureEncoder = ReconfigureEncoder;
  list->nvEncGetLastErrorString = GetLastErrorString;
  return NV_ENC_SUCCESS;
}
