// libnvcuvid.so.1 without a GPU: it decodes the H.264 that the emulated encoder writes, I_PCM macroblocks alone.
#include <cstdint>
#include <map>
#include <vector>

#include <ffnvcodec/dynlink_cuda.h>
#include <ffnvcodec/dynlink_cuviddec.h>

#include "driver.h"

using emulator::fault;
using emulator::note;

namespace {

constexpr int kInvalid = 1, kPitch = 512;

struct Decoder {
  int width, height, pitch;
  std::map<int, std::vector<uint8_t>> surfaces;  // NV12, luma and chroma one after the other
};

// Reads bits of a NAL unit whose emulation prevention is taken out.
struct Reader {
  std::vector<uint8_t> bytes;
  size_t at = 0;
  unsigned bits(int count) {
    unsigned value = 0;
    for (; count > 0; count--, at++) value = value << 1 | (at / 8 < bytes.size() ? bytes[at / 8] >> (7 - at % 8) & 1 : 0);
    return value;
  }
  unsigned ue() {
    int zeros = 0;
    while (zeros < 32 && !bits(1)) zeros++;
    return (1u << zeros) - 1 + bits(zeros);
  }
};

// Decode a slice into a surface; false if it is not one of the emulated encoder's.
bool decode_slice(Decoder& decoder, const CUVIDH264PICPARAMS& stream, const uint8_t* nal, size_t size, std::vector<uint8_t>& to) {
  Reader slice;
  int zeros = 0;
  for (size_t i = 1; i < size; i++) {
    if (zeros == 2 && nal[i] == 3) {
      zeros = 0;
      continue;
    }
    slice.bytes.push_back(nal[i]);
    zeros = nal[i] ? 0 : zeros + 1;
  }
  const bool idr = (nal[0] & 31) == 5, reference = nal[0] >> 5 & 3;
  slice.ue();
  if (slice.ue() != 7) return false;
  slice.ue();
  slice.bits(stream.log2_max_frame_num_minus4 + 4);
  if (idr) slice.ue();
  if (stream.pic_order_cnt_type == 0) slice.bits(stream.log2_max_pic_order_cnt_lsb_minus4 + 4);
  if (reference) slice.bits(idr ? 2 : 1);
  slice.ue();
  if (stream.deblocking_filter_control_present_flag && slice.ue() != 1) return false;
  uint8_t* chroma = to.data() + static_cast<size_t>(decoder.pitch) * decoder.height;
  for (int y = 0; y < decoder.height; y += 16) {
    for (int x = 0; x < decoder.width; x += 16) {
      if (slice.ue() != 25) return false;
      const size_t start = (slice.at + 7) / 8;
      slice.at = (start + 384) * 8;
      if (start + 384 > slice.bytes.size()) return false;
      const uint8_t* from = slice.bytes.data() + start;
      for (int row = 0; row < 16; row++) memcpy(&to[static_cast<size_t>(y + row) * decoder.pitch + x], from + 16 * row, 16);
      for (int i = 0; i < 64; i++) {
        uint8_t* two = chroma + static_cast<size_t>(y / 2 + i / 8) * decoder.pitch + x + i % 8 * 2;
        two[0] = from[256 + i];
        two[1] = from[320 + i];
      }
    }
  }
  return true;
}

}  // namespace

#define FAULT() \
  if (const int status = fault(__func__)) return static_cast<CUresult>(status)

API CUresult cuvidGetDecoderCaps(CUVIDDECODECAPS* caps) {
  FAULT();
  caps->bIsSupported = caps->eCodecType == cudaVideoCodec_H264 && !caps->nBitDepthMinus8;
  caps->nOutputFormatMask = 1;
  caps->nMaxWidth = caps->nMaxHeight = 4096;
  caps->nMaxMBCount = 65536;
  caps->nMinWidth = 48;
  caps->nMinHeight = 16;
  return CUDA_SUCCESS;
}
API CUresult cuvidCreateDecoder(CUvideodecoder* decoder, CUVIDDECODECREATEINFO* given) {
  FAULT();
  const int width = static_cast<int>(given->ulWidth + 15) & ~15, height = static_cast<int>(given->ulHeight + 15) & ~15;
  *decoder = new Decoder{width, height, (width + kPitch - 1) / kPitch * kPitch, {}};
  note("decoder " + std::to_string(given->ulWidth) + "x" + std::to_string(given->ulHeight));
  return CUDA_SUCCESS;
}
API CUresult cuvidDestroyDecoder(CUvideodecoder decoder) {
  delete static_cast<Decoder*>(decoder);
  return CUDA_SUCCESS;
}
API CUresult cuvidDecodePicture(CUvideodecoder given, CUVIDPICPARAMS* picture) {
  FAULT();
  auto& decoder = *static_cast<Decoder*>(given);
  std::vector<uint8_t> surface(static_cast<size_t>(decoder.pitch) * decoder.height * 3 / 2);
  for (unsigned slice = 0; slice < picture->nNumSlices; slice++) {
    const unsigned start = picture->pSliceDataOffsets[slice] + 3;  // after the start code
    const unsigned end = slice + 1 < picture->nNumSlices ? picture->pSliceDataOffsets[slice + 1] : picture->nBitstreamDataLen;
    if (!decode_slice(decoder, picture->CodecSpecific.h264, picture->pBitstreamData + start, end - start, surface)) {
      return static_cast<CUresult>(kInvalid);
    }
  }
  decoder.surfaces[picture->CurrPicIdx] = std::move(surface);
  return CUDA_SUCCESS;
}
API CUresult cuvidMapVideoFrame64(CUvideodecoder given, int number, unsigned long long* pointer, unsigned* pitch, CUVIDPROCPARAMS*) {
  FAULT();
  auto& decoder = *static_cast<Decoder*>(given);
  // A copy: FFmpeg may decode into the surface again while the frame is mapped.
  auto* copy = new std::vector<uint8_t>(decoder.surfaces[number]);
  *pointer = reinterpret_cast<unsigned long long>(copy->data());
  *pitch = static_cast<unsigned>(decoder.pitch);
  return CUDA_SUCCESS;
}
API CUresult cuvidUnmapVideoFrame64(CUvideodecoder, unsigned long long) { return CUDA_SUCCESS; }
API CUresult cuvidGetDecodeStatus(CUvideodecoder, int, void*) { return CUDA_SUCCESS; }
API CUresult cuvidReconfigureDecoder(CUvideodecoder, void*) { return static_cast<CUresult>(kInvalid); }
API CUresult cuvidCtxLockCreate(void** lock, void*) {
  *lock = calloc(1, 8);
  return CUDA_SUCCESS;
}
API CUresult cuvidCtxLockDestroy(void* lock) {
  free(lock);
  return CUDA_SUCCESS;
}
API CUresult cuvidCtxLock(void*, unsigned) { return CUDA_SUCCESS; }
API CUresult cuvidCtxUnlock(void*, unsigned) { return CUDA_SUCCESS; }

#define NOT_EMULATED(name) \
  API CUresult name() { return static_cast<CUresult>(801); }
NOT_EMULATED(cuvidCreateVideoSource)
NOT_EMULATED(cuvidCreateVideoSourceW)
NOT_EMULATED(cuvidDestroyVideoSource)
NOT_EMULATED(cuvidSetVideoSourceState)
NOT_EMULATED(cuvidGetVideoSourceState)
NOT_EMULATED(cuvidGetSourceVideoFormat)
NOT_EMULATED(cuvidGetSourceAudioFormat)
NOT_EMULATED(cuvidCreateVideoParser)
NOT_EMULATED(cuvidParseVideoData)
NOT_EMULATED(cuvidDestroyVideoParser)
