// H.264 without loss: every macroblock is I_PCM (ITU-T H.264, 7.3).
#pragma once

#include "bits.h"

namespace emulator {

inline void put_h264_headers(Bytes& to, const Format& format) {
  Bits sps;
  sps.put(77, 8);  // Main
  sps.put(0, 8);
  sps.put(51, 8);  // level 5.1
  sps.ue(0);
  sps.ue(12);  // log2_max_frame_num_minus4
  sps.ue(0);
  sps.ue(12);  // log2_max_pic_order_cnt_lsb_minus4
  sps.ue(4);
  sps.put(0, 1);
  sps.ue(format.coded_width() / 16 - 1);
  sps.ue(format.coded_height() / 16 - 1);
  sps.put(1, 1);  // frame_mbs_only_flag
  sps.put(1, 1);
  const int right = format.coded_width() - format.width, bottom = format.coded_height() - format.height;
  sps.put(right || bottom, 1);
  if (right || bottom) {
    sps.ue(0);
    sps.ue(right / 2);
    sps.ue(0);
    sps.ue(bottom / 2);
  }
  sps.put(1, 1);  // vui_parameters_present_flag
  sps.put(0, 2);
  put_colours(sps, format);
  sps.put(0, 1);
  sps.put(1, 1);  // timing_info_present_flag
  sps.put(format.fps_den, 32);
  sps.put(2 * format.fps_num, 32);
  sps.put(1, 1);
  sps.put(0, 3);
  sps.put(1, 1);  // bitstream_restriction_flag
  sps.put(1, 1);
  sps.ue(0);
  sps.ue(0);
  sps.ue(16);
  sps.ue(16);
  sps.ue(format.reordered);
  sps.ue(4);
  sps.trail();
  put_nal(to, {0x67}, sps.out);
  Bits pps;
  pps.ue(0);
  pps.ue(0);
  pps.put(0, 2);
  pps.ue(0);
  pps.ue(0);
  pps.ue(0);
  pps.put(0, 3);
  pps.se(0);
  pps.se(0);
  pps.se(0);
  pps.put(1, 1);  // deblocking_filter_control_present_flag
  pps.put(0, 2);
  pps.trail();
  put_nal(to, {0x68}, pps.out);
}

inline void put_h264_picture(Bytes& to, const Format& format, const Picture& picture) {
  Bits slice;
  slice.ue(0);
  slice.ue(7);  // all slices are I
  slice.ue(0);
  slice.put(picture.frame_num & 0xFFFF, 16);
  if (picture.idr) slice.ue(picture.idr_number & 1);
  slice.put((2 * picture.order) & 0xFFFF, 16);
  if (picture.reference) slice.put(0, picture.idr ? 2 : 1);
  slice.se(0);
  slice.ue(1);  // no deblocking
  for (int y = 0; y < format.coded_height(); y += 16) {
    for (int x = 0; x < format.coded_width(); x += 16) {
      slice.ue(25);  // I_PCM
      slice.align();
      put_samples(slice.out, format, picture.pixels, x, y);
    }
  }
  slice.trail();
  const int header = picture.idr ? 0x65 : picture.reference ? 0x61 : 0x01;
  put_nal(to, {static_cast<uint8_t>(header)}, slice.out);
}

}  // namespace emulator
