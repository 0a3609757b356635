// libnvidia-encode.so.1 without a GPU: streams without loss, in the order that B-frames ask for.
#include <dlfcn.h>

#include <atomic>
#include <fstream>
#include <iterator>

#include "nvenc_session.h"

using namespace emulator;

namespace {

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
  *value = capability(asked->capsToQuery, static_cast<Session*>(encoder)->card);
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
