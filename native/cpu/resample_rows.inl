// Separable resampling of rows of bytes; see AcrossPlan and resample.cpp.
#include "cpu/vector.inl"
#include "pixel/resample.h"

namespace vp {
namespace {

constexpr int kByteShift = 8;  // source bytes, minus 128, are shifted left by this before the multiplication
static_assert(kByteShift + kWeightBits - 16 == kFractionBits);
constexpr int kDownBits = VP_DOWN_BITS;

#if defined(__AVX2__)

inline __m256i two_lanes(const uint8_t* one, const uint8_t* two) {
  const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(one));
  const __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(two));
  return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

#if defined(__AVX512BW__)
constexpr int kTogether = 2;  // blocks
inline Vector of_blocks(__m256i one, __m256i two) {
  return _mm512_inserti64x4(_mm512_castsi256_si512(one), two, 1);
}
inline Vector load_blocks(const void* one, const void* two) {
  return of_blocks(_mm256_loadu_si256(static_cast<const __m256i*>(one)),
                   _mm256_loadu_si256(static_cast<const __m256i*>(two)));
}
inline Vector load_lanes(const uint8_t* source, const int32_t* one, const int32_t* two) {
  return of_blocks(two_lanes(source + one[0], source + one[1]), two_lanes(source + two[0], source + two[1]));
}
#else
constexpr int kTogether = 1;
inline Vector load_blocks(const void* one, const void*) { return load(one); }
inline Vector load_lanes(const uint8_t* source, const int32_t* one, const int32_t*) {
  return two_lanes(source + one[0], source + one[1]);
}
#endif

template <int kTaps, int kCount>
void across_blocks(const AcrossPlan& plan, const uint8_t* source, ptrdiff_t source_stride, int16_t* target,
                   ptrdiff_t target_stride) {
  constexpr int kLoaded = taps_a_load(kTaps), kLanes = kBlock / kLane;
  const Vector from_128 = bytes(0x80), next = words(1 << kByteShift);
  for (int block = 0; block < plan.blocks; block += kTogether) {
    const int32_t* const base = plan.base + static_cast<ptrdiff_t>(block) * kLanes;
    const uint16_t* const first = plan.places + static_cast<ptrdiff_t>(block) * kBlock;
    const int16_t* const weights = plan.weights + static_cast<ptrdiff_t>(block) * kTaps * kBlock;
    // An unpaired last block is computed twice, and one result is kept.
    const int other = kTogether == 2 && block + 1 < plan.blocks ? 1 : 0;
    const Vector first_places = load_blocks(first, first + other * kBlock);
    Vector sums[kCount];
    for (int begin = 0; begin < kTaps; begin += kLoaded) {
      Vector loaded[kCount];
      for (int row = 0; row < kCount; ++row) {
        const uint8_t* const line = source + row * source_stride + begin;
        loaded[row] = exclusive_or(load_lanes(line, base, base + other * kLanes), from_128);
      }
      Vector places = first_places;
      for (int tap = begin; tap < begin + kLoaded && tap < kTaps; ++tap) {
        const int16_t* const of_tap = weights + tap * kBlock;
        const Vector weight = load_blocks(of_tap, of_tap + other * kTaps * kBlock);
        for (int row = 0; row < kCount; ++row) {
          const Vector product = high_signed(VP_VECTOR_OF(shuffle_epi8)(loaded[row], places), weight);
          sums[row] = tap == 0 ? product : add(sums[row], product);
        }
        places = add(places, next);
      }
    }
    for (int row = 0; row < kCount; ++row) {
      int16_t* const to = target + row * target_stride + static_cast<ptrdiff_t>(block) * kBlock;
#if defined(__AVX512BW__)
      if (!other) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_castsi512_si256(sums[row]));
        continue;
      }
#endif
      store(to, sums[row]);
    }
  }
}

#elif defined(__SSE2__)

// This target has no byte shuffle, so each output loads four adjacent taps. Even and odd taps are the lower and upper
// bytes of words, and the weights are arranged alike.
inline Vector load_four_outputs(const uint8_t* source, const int32_t* places) {
  int32_t taps[4];
  for (int output = 0; output < 4; ++output) __builtin_memcpy(&taps[output], source + places[output], sizeof taps[0]);
  const Vector low = _mm_unpacklo_epi32(_mm_cvtsi32_si128(taps[0]), _mm_cvtsi32_si128(taps[1]));
  const Vector high = _mm_unpacklo_epi32(_mm_cvtsi32_si128(taps[2]), _mm_cvtsi32_si128(taps[3]));
  return _mm_unpacklo_epi64(low, high);
}

template <int kTaps, int kCount>
void across_blocks(const AcrossPlan& plan, const uint8_t* source, ptrdiff_t source_stride, int16_t* target,
                   ptrdiff_t target_stride) {
  constexpr int kHalf = kLane / 2;
  const Vector from_128 = bytes(0x80), upper = words(0xFF00), ones = words(1);
  for (int at = 0; at < plan.blocks * kBlock; at += kHalf) {
    int32_t places[kHalf];
    for (int output = 0; output < kHalf; ++output) {
      places[output] = plan.base[at / kLane] + (plan.places[at + output] >> kByteShift);
    }
    const int16_t* weights = plan.weights + static_cast<ptrdiff_t>(at / kBlock) * kTaps * kBlock + at % kBlock;
    Vector sums[kCount];
    for (int row = 0; row < kCount; ++row) sums[row] = zero();
    for (int begin = 0; begin < kTaps; begin += 4) {
      // The last load of six taps begins two taps early; the repeated taps have weight 0 there.
      const int first = begin + 4 <= kTaps ? begin : kTaps - 4;
      Vector of_tap[4];
      for (int tap = 0; tap < 4; ++tap) {
        const auto* from = reinterpret_cast<const Vector*>(weights + (first + tap) * kBlock);
        of_tap[tap] = first + tap < begin ? zero() : _mm_loadl_epi64(from);
      }
      const Vector even = _mm_unpacklo_epi16(of_tap[0], of_tap[2]);
      const Vector odd = _mm_unpacklo_epi16(of_tap[1], of_tap[3]);
      for (int row = 0; row < kCount; ++row) {
        const Vector taps = exclusive_or(load_four_outputs(source + row * source_stride + first, places), from_128);
        const Vector products = add(high_signed(_mm_slli_epi16(taps, 8), even),
                                    high_signed(_mm_and_si128(taps, upper), odd));
        sums[row] = _mm_add_epi32(sums[row], _mm_madd_epi16(products, ones));
      }
    }
    for (int row = 0; row < kCount; ++row) {
      auto* to = reinterpret_cast<Vector*>(target + row * target_stride + at);
      _mm_storel_epi64(to, _mm_packs_epi32(sums[row], sums[row]));
    }
  }
}

#else

template <int kTaps, int kCount>
void across_blocks(const AcrossPlan& plan, const uint8_t* source, ptrdiff_t source_stride, int16_t* target,
                   ptrdiff_t target_stride) {
  for (int block = 0; block < plan.blocks; ++block) {
    for (int row = 0; row < kCount; ++row) {
      const int16_t* weights = plan.weights + static_cast<ptrdiff_t>(block) * kTaps * kBlock;
      int16_t sums[kBlock];
      uint8_t taps[kTaps][kBlock];
      for (int output = 0; output < kBlock; ++output) {
        const ptrdiff_t at = static_cast<ptrdiff_t>(block) * kBlock + output;
        const uint8_t* from = source + row * source_stride + plan.base[at / kLane] + (plan.places[at] >> kByteShift);
        for (int tap = 0; tap < kTaps; ++tap) taps[tap][output] = from[tap];
        sums[output] = 0;
      }
      for (int tap = 0; tap < kTaps; ++tap) {
        for (int output = 0; output < kBlock; ++output) {
          const int32_t product = vp_tap_across(taps[tap][output], weights[tap * kBlock + output]);
          sums[output] = static_cast<int16_t>(sums[output] + product);
        }
      }
      __builtin_memcpy(target + row * target_stride + static_cast<ptrdiff_t>(block) * kBlock, sums, sizeof sums);
    }
  }
}

#endif

template <int kTaps>
void across_batch(const AcrossPlan& plan, const uint8_t* source, ptrdiff_t source_stride, int16_t* target,
                  ptrdiff_t target_stride, int count) {
  const auto draw = count == kRowBatch ? across_blocks<kTaps, kRowBatch> : across_blocks<kTaps, 1>;
  draw(plan, source, source_stride, target, target_stride);
}

void resample_across_rows(const AcrossPlan& plan, const uint8_t* source, ptrdiff_t source_stride, int16_t* target,
                          ptrdiff_t target_stride, int count) {
  const auto draw = plan.taps == 4 ? across_batch<4> : plan.taps == 6 ? across_batch<6> : across_batch<8>;
  draw(plan, source, source_stride, target, target_stride, count);
}

template <int kTaps>
void down_columns(const int16_t* const* sources, const int16_t* weights, int lost, uint8_t* target, int width,
                  int row) {
  const int16_t* lines[kTaps];
  for (int tap = 0; tap < kTaps; ++tap) lines[tap] = sources[tap];
#if defined(VP_VECTOR)
  constexpr int kWords = VP_VECTOR / 2;
  const auto draw = [&](int at, const Vector* of_tap, Vector round) {
    Vector sums[2] = {round, round};
    for (int tap = 0; tap < kTaps; ++tap) {
      sums[0] = add(sums[0], high_signed(load(lines[tap] + at), of_tap[tap]));
      sums[1] = add(sums[1], high_signed(load(lines[tap] + at + kWords), of_tap[tap]));
    }
    store(target + at, pack_in_order(shift_signed<kDownBits>(sums[0]), shift_signed<kDownBits>(sums[1])));
  };
  if (width >= VP_VECTOR) {
    Vector of_tap[kTaps];
    for (int tap = 0; tap < kTaps; ++tap) of_tap[tap] = words(weights[tap]);
    const int even = vp_down_start(lost, row, 0), odd = vp_down_start(lost, row, 1);
    const Vector round = pairs(even, odd);
    int column = 0;
    for (; column + VP_VECTOR <= width; column += VP_VECTOR) draw(column, of_tap, round);
    // The last vector redraws some outputs of the one before.
    if (column < width) draw(width - VP_VECTOR, of_tap, width % 2 ? pairs(odd, even) : round);
    return;
  }
#endif
  for (int column = 0; column < width; ++column) {
    int32_t sum = vp_down_start(lost, row, column);
    for (int tap = 0; tap < kTaps; ++tap) sum += vp_tap_down(lines[tap][column], weights[tap]);
    target[column] = vp_down_end(sum);
  }
}

void resample_down_rows(const int16_t* const* sources, const int16_t* weights, int taps, int lost, uint8_t* target,
                        int width, int row) {
  const auto draw = taps == 4 ? down_columns<4> : taps == 6 ? down_columns<6> : down_columns<8>;
  draw(sources, weights, lost, target, width, row);
}

}  // namespace
}  // namespace vp
