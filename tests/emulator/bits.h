// Bits of H.264 and HEVC: Exp-Golomb codes, and NAL units with their emulation prevention.
#pragma once

#include <cstdint>
#include <vector>

namespace emulator {

using Bytes = std::vector<uint8_t>;

struct Bits {
  Bytes out;
  uint32_t gathered = 0;
  int count = 0;

  void put(uint32_t value, int bits) {
    while (bits--) {
      gathered = gathered << 1 | (value >> bits & 1);
      if (++count == 8) {
        out.push_back(static_cast<uint8_t>(gathered));
        gathered = 0;
        count = 0;
      }
    }
  }
  void ue(uint32_t value) {
    const int length = 32 - __builtin_clz(value + 1);
    put(0, length - 1);
    put(value + 1, length);
  }
  void se(int value) { ue(value > 0 ? 2 * value - 1 : -2 * value); }
  void align() {
    while (count) put(0, 1);
  }
  void trail() {
    put(1, 1);
    align();
  }
};

inline void put_nal(Bytes& to, const Bytes& header, const Bytes& payload) {
  const uint8_t start[] = {0, 0, 0, 1};
  to.insert(to.end(), start, start + 4);
  to.insert(to.end(), header.begin(), header.end());
  int zeros = 0;
  for (const uint8_t byte : payload) {
    if (zeros == 2 && byte <= 3) {
      to.push_back(3);
      zeros = 0;
    }
    to.push_back(byte);
    zeros = byte ? 0 : zeros + 1;
  }
}

// What a stream's headers say. Sides in pixels.
struct Format {
  int width = 0, height = 0, fps_num = 30, fps_den = 1, reordered = 0;
  int full_range = 0, coloured = 0, primaries = 2, transfer = 2, matrix = 2;
  int coded_width() const { return (width + 15) & ~15; }
  int coded_height() const { return (height + 15) & ~15; }
};

// A picture to be coded: planes Y, U, V of the coded size, one after the other.
struct Picture {
  const uint8_t* pixels = nullptr;
  bool idr = false, reference = false;
  int order = 0;      // place in the order of showing, from the last IDR picture on
  int frame_num = 0;  // reference pictures since the last IDR picture
  int idr_number = 0;
};

// Copy the samples of the block at (x, y), luma's 16 x 16 and both chroma's 8 x 8.
inline void put_samples(Bytes& to, const Format& format, const uint8_t* pixels, int x, int y) {
  const int width = format.coded_width(), height = format.coded_height();
  for (int row = 0; row < 16; row++) {
    const uint8_t* from = pixels + static_cast<size_t>(y + row) * width + x;
    to.insert(to.end(), from, from + 16);
  }
  for (int plane = 0; plane < 2; plane++) {
    const uint8_t* chroma = pixels + static_cast<size_t>(width) * height * (4 + plane) / 4;
    for (int row = 0; row < 8; row++) {
      const uint8_t* from = chroma + static_cast<size_t>(y / 2 + row) * (width / 2) + x / 2;
      to.insert(to.end(), from, from + 8);
    }
  }
}

inline void put_colours(Bits& bits, const Format& format) {
  bits.put(1, 1);  // video_signal_type_present_flag
  bits.put(5, 3);
  bits.put(format.full_range, 1);
  bits.put(format.coloured, 1);
  if (format.coloured) {
    bits.put(format.primaries, 8);
    bits.put(format.transfer, 8);
    bits.put(format.matrix, 8);
  }
}

}  // namespace emulator
