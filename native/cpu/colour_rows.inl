// Rows of RGB to rows of YUV; the formulas are in pixel/colour.h.
#include "cpu/vector.inl"
#include "pixel/colour.h"

namespace vp {
namespace {

#if defined(__AVX2__)

// For each of three loads: shuffle masks that pick bytes 3 * place + channel out of 48.
struct SplitTable {
  uint8_t bytes[3][3][16];
  constexpr SplitTable() : bytes() {
    for (int channel = 0; channel < 3; ++channel) {
      for (int load = 0; load < 3; ++load) {
        for (int place = 0; place < 16; ++place) {
          const int at = 3 * place + channel - 16 * load;
          bytes[channel][load][place] = static_cast<uint8_t>(at >= 0 && at < 16 ? at : 0x80);
        }
      }
    }
  }
};
constexpr SplitTable kSplit{};

#endif

void split_rgb_row(const uint8_t* __restrict rgb, uint8_t* const* planes, int width) {
  int x = 0;
#if defined(__AVX2__)
  for (; x + 16 <= width; x += 16) {
    __m128i loads[3];
    for (int load = 0; load < 3; ++load) {
      loads[load] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rgb + 3 * x + 16 * load));
    }
    for (int channel = 0; channel < 3; ++channel) {
      __m128i bytes = _mm_setzero_si128();
      for (int load = 0; load < 3; ++load) {
        const auto* places = reinterpret_cast<const __m128i*>(kSplit.bytes[channel][load]);
        bytes = _mm_or_si128(bytes, _mm_shuffle_epi8(loads[load], _mm_loadu_si128(places)));
      }
      _mm_storeu_si128(reinterpret_cast<__m128i*>(planes[channel] + x), bytes);
    }
  }
#endif
  uint8_t *__restrict red = planes[0], *__restrict green = planes[1], *__restrict blue = planes[2];
  for (; x < width; ++x) {
    red[x] = rgb[3 * x];
    green[x] = rgb[3 * x + 1];
    blue[x] = rgb[3 * x + 2];
  }
}

void luma_row(const uint8_t* const* rgb, uint8_t* __restrict target, int width) {
  const uint8_t *red = rgb[0], *green = rgb[1], *blue = rgb[2];
  for (int x = 0; x < width; ++x) target[x] = vp_luma(red[x], green[x], blue[x]);
}

inline uint16_t six_pixels(const uint8_t* one, const uint8_t* two, int x) {
  return static_cast<uint16_t>(vp_chroma_sum(one[2 * x - 1], one[2 * x], one[2 * x + 1]) +
                               vp_chroma_sum(two[2 * x - 1], two[2 * x], two[2 * x + 1]));
}

void chroma_row(const uint8_t* const* one, const uint8_t* const* two, uint8_t* __restrict target_u,
                uint8_t* __restrict target_v, int width) {
  const uint8_t *red_one = one[0], *green_one = one[1], *blue_one = one[2];
  const uint8_t *red_two = two[0], *green_two = two[1], *blue_two = two[2];
  for (int x = 0; x < width; ++x) {
    const uint16_t red = six_pixels(red_one, red_two, x);
    const uint16_t green = six_pixels(green_one, green_two, x);
    const uint16_t blue = six_pixels(blue_one, blue_two, x);
    target_u[x] = vp_chroma_u(red, green, blue);
    target_v[x] = vp_chroma_v(red, green, blue);
  }
}

}  // namespace
}  // namespace vp
