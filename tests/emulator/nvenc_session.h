// A session of the emulated NVENC: what its card can do, its pictures in coding order, and the streams they become.
//
// Built against any NVENC API from 11.1 on and called by later ones: all that is read here lies in the same places in
// 11.1, 12.2 and 13.0, so only the kind of a structure is compared, not its version.
#pragma once

#include <ffnvcodec/nvEncodeAPI.h>
#include <sys/file.h>

#include <algorithm>
#include <deque>

#include "driver.h"
#include "h264.h"
#include "hevc.h"

namespace emulator {

// Of API 12.0, which Debian's header does not have.
constexpr GUID kAv1 = {0x0a352289, 0x0aa7, 0x4759, {0x86, 0x2d, 0x5d, 0x15, 0xcd, 0x16, 0xd2, 0x54}};
constexpr int kMinWidth = 145, kMinHeight = 49;

inline bool equal(const GUID& one, const GUID& two) { return memcmp(&one, &two, sizeof one) == 0; }

inline bool known(uint32_t version) { return (version & 0x70000000u) == 0x70000000u && (version & 0xFF) >= 11; }

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
    {"NUM_ENCODER_ENGINES", NV_ENC_CAPS_NUM_ENCODER_ENGINES, 3},
};

// What a card can do: EMULATOR_CAPABILITIES, as NAME[@CARD]=VALUE with commas, or else what the table says.
inline int capability(NV_ENC_CAPS wanted, int card) {
  for (const Capability& one : kCapabilities) {
    if (one.number != wanted) continue;
    const std::string given = std::string(",") + (text("EMULATOR_CAPABILITIES") ? text("EMULATOR_CAPABILITIES") : "");
    size_t at = given.find(std::string(",") + one.name + "@" + std::to_string(card) + "=");
    if (at == std::string::npos) at = given.find(std::string(",") + one.name + "=");
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

inline NVENCSTATUS failure(const char* call, void* encoder) {
  const int card = encoder ? static_cast<Session*>(encoder)->card : -1;
  const int status = fault(call, card);
  return static_cast<NVENCSTATUS>(status ? status : lost(card) ? NV_ENC_ERR_GENERIC : NV_ENC_SUCCESS);
}
#define FAULT(call, encoder)                                       \
  do {                                                             \
    if (const NVENCSTATUS status = failure(call, encoder)) return status; \
  } while (0)

// The sequence header of an AV1 temporal unit, whose OBUs all have their sizes (AV1 specification, 5.3).
inline Bytes av1_header(const Bytes& unit) {
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

inline void put_headers(Bytes& to, const Session& session) {
  if (session.codec == Codec::kAv1) to = av1_header(session.av1);
  if (session.codec == Codec::kH264) put_h264_headers(to, session.format);
  if (session.codec == Codec::kHevc) put_hevc_headers(to, session.format);
}

// Copy an input's planes, widened to whole blocks, as Y, U, V.
inline void read_planes(const Buffer& input, const Format& format, Bytes& pixels) {
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

inline void code(Session& session, const Waiting& waiting, Output& output, bool reference) {
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
inline void flush(Session& session) {
  if (session.waiting.empty()) return;
  std::vector<Output*> outputs;
  for (const Waiting& one : session.waiting) outputs.push_back(one.output);
  code(session, session.waiting.back(), *outputs[0], true);
  for (size_t at = 0; at + 1 < session.waiting.size(); at++) {
    code(session, session.waiting[at], *outputs[at + 1], false);
  }
  session.waiting.clear();
}

}  // namespace emulator
