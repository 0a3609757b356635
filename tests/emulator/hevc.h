// HEVC without loss: every coding unit is 16 x 16 samples of PCM (ITU-T H.265, 7.3 and 9.3.4).
#pragma once

#include "bits.h"

namespace emulator {

// The arithmetic encoder of 9.3.5, as far as PCM needs it: one context that is always in its more probable state.
struct Cabac {
  Bits bits;
  uint32_t low = 0, range = 510;
  int outstanding = 0;
  bool first = true;
  int state = 0;

  void restart() {
    low = 0;
    range = 510;
    outstanding = 0;
    first = true;
  }
  void likely() {
    // rangeTabLps for the ranges from 448 on, which is where a bin that follows a restart finds it.
    static const uint8_t unlikely[63] = {240, 227, 216, 205, 195, 185, 175, 166, 158, 150, 142, 135, 128, 122, 116, 110,
                                         104, 99,  94,  89,  85,  80,  76,  72,  69,  65,  62,  59,  56,  53,  50,  48,
                                         45,  43,  41,  39,  37,  35,  33,  31,  30,  28,  27,  25,  24,  23,  22,  21,
                                         20,  19,  18,  17,  16,  15,  14,  14,  13,  12,  12,  11,  11,  10,  9};
    range -= unlikely[state];
    if (state < 62) state++;
    renormalise();
  }
  void terminate(bool end) {
    range -= 2;
    if (!end) return renormalise();
    low += range;
    range = 2;
    renormalise();
    put(low >> 9 & 1);
    bits.put(low >> 8 & 1, 1);  // and a 1, which is the last that the decoder reads: a stop bit where the slice ends
    bits.put(1, 1);
  }

 private:
  void put(int bit) {
    if (first) {
      first = false;
    } else {
      bits.put(bit, 1);
    }
    for (; outstanding; outstanding--) bits.put(1 - bit, 1);
  }
  void renormalise() {
    while (range < 256) {
      if (low < 256) {
        put(0);
      } else if (low >= 512) {
        low -= 512;
        put(1);
      } else {
        low -= 256;
        outstanding++;
      }
      range <<= 1;
      low <<= 1;
    }
  }
};

inline Bytes hevc_header(int type) { return {static_cast<uint8_t>(type << 1), 1}; }

inline void put_profile(Bits& bits) {
  bits.put(0, 3);
  bits.put(1, 5);  // Main
  bits.put(0x60000000, 32);
  bits.put(0x9, 4);  // progressive, frames only
  bits.put(0, 32);
  bits.put(0, 12);
  bits.put(153, 8);  // level 5.1
}

inline void put_ordering(Bits& bits, const Format& format) {
  bits.ue(4);
  bits.ue(format.reordered);
  bits.ue(0);
}

inline void put_hevc_headers(Bytes& to, const Format& format) {
  Bits vps;
  vps.put(0, 4);
  vps.put(3, 2);
  vps.put(0, 6);
  vps.put(0, 3);
  vps.put(1, 1);
  vps.put(0xFFFF, 16);
  put_profile(vps);
  vps.put(1, 1);
  put_ordering(vps, format);
  vps.put(0, 6);
  vps.ue(0);
  vps.put(0, 2);
  vps.trail();
  put_nal(to, hevc_header(32), vps.out);
  Bits sps;
  sps.put(0, 4);
  sps.put(0, 3);
  sps.put(1, 1);
  put_profile(sps);
  sps.ue(0);
  sps.ue(1);  // 4:2:0
  sps.ue(format.coded_width());
  sps.ue(format.coded_height());
  const int right = format.coded_width() - format.width, bottom = format.coded_height() - format.height;
  sps.put(right || bottom, 1);
  if (right || bottom) {
    sps.ue(0);
    sps.ue(right / 2);
    sps.ue(0);
    sps.ue(bottom / 2);
  }
  sps.ue(0);
  sps.ue(0);
  sps.ue(12);  // log2_max_pic_order_cnt_lsb_minus4
  sps.put(1, 1);
  put_ordering(sps, format);
  sps.ue(1);  // coding blocks of 16 and of no other size
  sps.ue(0);
  sps.ue(0);  // transform blocks of 4 to 16
  sps.ue(2);
  sps.ue(0);
  sps.ue(0);
  sps.put(0, 3);  // no scaling lists, amp, sao
  sps.put(1, 1);  // pcm_enabled_flag
  sps.put(7, 4);
  sps.put(7, 4);
  sps.ue(1);
  sps.ue(0);
  sps.put(1, 1);
  sps.ue(1);  // one short-term reference picture set, which is empty
  sps.ue(0);
  sps.ue(0);
  sps.put(0, 3);  // no long-term pictures, temporal motion vectors, smoothing
  sps.put(1, 1);  // vui_parameters_present_flag
  sps.put(0, 2);
  put_colours(sps, format);
  sps.put(0, 5);  // chroma location, neutral chroma, fields, field info, display window
  sps.put(1, 1);  // vui_timing_info_present_flag
  sps.put(format.fps_den, 32);
  sps.put(format.fps_num, 32);
  sps.put(0, 3);
  sps.put(0, 1);
  sps.trail();
  put_nal(to, hevc_header(33), sps.out);
  Bits pps;
  pps.ue(0);
  pps.ue(0);
  pps.put(0, 7);
  pps.ue(0);
  pps.ue(0);
  pps.se(0);
  pps.put(0, 3);
  pps.se(0);
  pps.se(0);
  pps.put(0, 7);
  pps.put(1, 1);  // deblocking_filter_control_present_flag
  pps.put(0, 1);
  pps.put(1, 1);
  pps.put(0, 2);
  pps.ue(0);
  pps.put(0, 2);
  pps.trail();
  put_nal(to, hevc_header(34), pps.out);
}

inline void put_hevc_picture(Bytes& to, const Format& format, const Picture& picture) {
  Cabac slice;
  Bits& bits = slice.bits;
  bits.put(1, 1);
  if (picture.idr) bits.put(0, 1);
  bits.ue(0);
  bits.ue(2);  // an I slice
  if (!picture.idr) {
    bits.put(picture.order & 0xFFFF, 16);
    bits.put(1, 1);
  }
  bits.se(0);
  bits.trail();
  const int width = format.coded_width(), height = format.coded_height();
  for (int y = 0; y < height; y += 16) {
    for (int x = 0; x < width; x += 16) {
      slice.likely();  // part_mode: not divided
      slice.terminate(true);
      bits.align();
      put_samples(bits.out, format, picture.pixels, x, y);
      slice.restart();
      slice.terminate(y + 16 >= height && x + 16 >= width);
    }
  }
  bits.align();
  put_nal(to, hevc_header(picture.idr ? 19 : picture.reference ? 1 : 0), bits.out);
}

}  // namespace emulator
