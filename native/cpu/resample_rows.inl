// Separable resampling of rows of bytes; see HorizontalPlan and resample.cpp.
#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace vp {
namespace {

constexpr int kAcrossShift = kCoefficientBits - kFractionBits;
constexpr int kDownShift = kCoefficientBits + kFractionBits;

#if defined(__AVX512BW__)

// Two steps of the plan at once: 16 outputs out of four 16-byte loads.
inline __m512i load_four_lanes(const uint8_t* row, const int32_t* base) {
  __m512i lanes = _mm512_castsi128_si512(_mm_loadu_si128(reinterpret_cast<const __m128i*>(row + base[0])));
  lanes = _mm512_inserti32x4(lanes, _mm_loadu_si128(reinterpret_cast<const __m128i*>(row + base[1])), 1);
  lanes = _mm512_inserti32x4(lanes, _mm_loadu_si128(reinterpret_cast<const __m128i*>(row + base[2])), 2);
  return _mm512_inserti32x4(lanes, _mm_loadu_si128(reinterpret_cast<const __m128i*>(row + base[3])), 3);
}

inline __m512i two_steps(const void* table, int step, int pairs, int pair) {
  const char* at = static_cast<const char*>(table) + (static_cast<ptrdiff_t>(step) * pairs + pair) * 32;
  const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
  const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + static_cast<ptrdiff_t>(pairs) * 32));
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

#endif

#if defined(__AVX2__)

template <int kPairs, int kCount>
void across_steps(const HorizontalPlan& plan, const uint8_t* const* sources, int16_t* const* targets) {
  const int steps = plan.lanes / 2;
  int step = 0;
  const int32_t round = 1 << (kAcrossShift - 1);
#if defined(__AVX512BW__)
  for (; step + 2 <= steps; step += 2) {
    __m512i sums[kCount];
    __m512i lanes[kCount];
    for (int row = 0; row < kCount; ++row) {
      lanes[row] = load_four_lanes(sources[row], plan.base + 2 * step);
      sums[row] = _mm512_set1_epi32(round);
    }
    for (int pair = 0; pair < kPairs; ++pair) {
      const __m512i shuffle = two_steps(plan.shuffle, step, kPairs, pair);
      const __m512i weights = two_steps(plan.coefficients, step, kPairs, pair);
      for (int row = 0; row < kCount; ++row) {
        sums[row] = _mm512_add_epi32(sums[row],
                                     _mm512_madd_epi16(_mm512_shuffle_epi8(lanes[row], shuffle), weights));
      }
    }
    for (int row = 0; row < kCount; ++row) {
      const __m256i narrow = _mm512_cvtsepi32_epi16(_mm512_srai_epi32(sums[row], kAcrossShift));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(targets[row] + 8 * step), narrow);
    }
  }
#endif
  for (; step < steps; ++step) {
    __m256i sums[kCount];
    __m256i lanes[kCount];
    for (int row = 0; row < kCount; ++row) {
      const auto* low = reinterpret_cast<const __m128i*>(sources[row] + plan.base[2 * step]);
      const auto* high = reinterpret_cast<const __m128i*>(sources[row] + plan.base[2 * step + 1]);
      lanes[row] = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(low)), _mm_loadu_si128(high), 1);
      sums[row] = _mm256_set1_epi32(round);
    }
    for (int pair = 0; pair < kPairs; ++pair) {
      const ptrdiff_t at = static_cast<ptrdiff_t>(step) * kPairs + pair;
      const __m256i shuffle = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(plan.shuffle + at * 32));
      const __m256i weights = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(plan.coefficients + at * 16));
      for (int row = 0; row < kCount; ++row) {
        sums[row] = _mm256_add_epi32(sums[row],
                                     _mm256_madd_epi16(_mm256_shuffle_epi8(lanes[row], shuffle), weights));
      }
    }
    for (int row = 0; row < kCount; ++row) {
      const __m256i shifted = _mm256_srai_epi32(sums[row], kAcrossShift);
      const __m128i narrow =
          _mm_packs_epi32(_mm256_castsi256_si128(shifted), _mm256_extracti128_si256(shifted, 1));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(targets[row] + 8 * step), narrow);
    }
  }
}

#elif defined(__SSE2__)

// There is no byte shuffle here, so each output loads its own taps, which lie side by side: four bytes in each part
// of 32 bits. Words of every other byte then stand beside weights that are paired in the same way.
inline __m128i load_four_outputs(const uint8_t* source, const int32_t (&places)[kLane]) {
  int32_t bytes[kLane];
  for (int output = 0; output < kLane; ++output) {
    __builtin_memcpy(&bytes[output], source + places[output], sizeof bytes[output]);
  }
  const __m128i low = _mm_unpacklo_epi32(_mm_cvtsi32_si128(bytes[0]), _mm_cvtsi32_si128(bytes[1]));
  const __m128i high = _mm_unpacklo_epi32(_mm_cvtsi32_si128(bytes[2]), _mm_cvtsi32_si128(bytes[3]));
  return _mm_unpacklo_epi64(low, high);
}

template <int kPairs, int kCount>
void across_steps(const HorizontalPlan& plan, const uint8_t* const* sources, int16_t* const* targets) {
  constexpr int kLoads = (kPairs + 1) / 2;
  const __m128i low_words = _mm_set1_epi32(0xFFFF), even_bytes = _mm_set1_epi16(0xFF);
  for (int lane = 0; lane < plan.lanes; ++lane) {
    __m128i sums[kCount];
    for (int row = 0; row < kCount; ++row) sums[row] = _mm_set1_epi32(1 << (kAcrossShift - 1));
    const ptrdiff_t first = static_cast<ptrdiff_t>(lane / 2) * kPairs * 2 + lane % 2;
    for (int load = 0; load < kLoads; ++load) {
      // With three pairs the second load begins one pair early, and that pair has no weight in it.
      const int pair = load == 0 ? 0 : kPairs - 2;
      const uint8_t* shuffle = plan.shuffle + (first + 2 * pair) * 16;
      int32_t places[kLane];
      for (int output = 0; output < kLane; ++output) places[output] = plan.base[lane] + shuffle[4 * output];
      const auto* weights = reinterpret_cast<const __m128i*>(plan.coefficients + (first + 2 * pair) * 8);
      const __m128i one = pair == 1 ? _mm_setzero_si128() : _mm_loadu_si128(weights);
      const __m128i two = _mm_loadu_si128(weights + 2);
      const __m128i even = _mm_or_si128(_mm_and_si128(one, low_words), _mm_slli_epi32(two, 16));
      const __m128i odd = _mm_or_si128(_mm_srli_epi32(one, 16), _mm_andnot_si128(low_words, two));
      for (int row = 0; row < kCount; ++row) {
        const __m128i bytes = load_four_outputs(sources[row], places);
        sums[row] = _mm_add_epi32(sums[row], _mm_madd_epi16(_mm_and_si128(bytes, even_bytes), even));
        sums[row] = _mm_add_epi32(sums[row], _mm_madd_epi16(_mm_srli_epi16(bytes, 8), odd));
      }
    }
    for (int row = 0; row < kCount; ++row) {
      const __m128i shifted = _mm_srai_epi32(sums[row], kAcrossShift);
      _mm_storel_epi64(reinterpret_cast<__m128i*>(targets[row] + kLane * lane), _mm_packs_epi32(shifted, shifted));
    }
  }
}

#endif

#if defined(__SSE2__)

template <int kPairs>
void across_batch(const HorizontalPlan& plan, const uint8_t* const* sources, int16_t* const* targets, int count) {
  if (count == kRowBatch) {
    across_steps<kPairs, kRowBatch>(plan, sources, targets);
    return;
  }
  for (int row = 0; row < count; ++row) across_steps<kPairs, 1>(plan, sources + row, targets + row);
}

void resample_across_rows(const HorizontalPlan& plan, const uint8_t* const* sources, int16_t* const* targets,
                          int count) {
  switch (plan.pairs) {
    case 2: across_batch<2>(plan, sources, targets, count); break;
    case 3: across_batch<3>(plan, sources, targets, count); break;
    default: across_batch<4>(plan, sources, targets, count); break;
  }
}

#else

void resample_across_rows(const HorizontalPlan& plan, const uint8_t* const* sources, int16_t* const* targets,
                          int count) {
  for (int row = 0; row < count; ++row) {
    for (int lane = 0; lane < plan.lanes; ++lane) {
      const uint8_t* source = sources[row] + plan.base[lane];
      for (int output = 0; output < kLane; ++output) {
        int32_t sum = 1 << (kAcrossShift - 1);
        for (int pair = 0; pair < plan.pairs; ++pair) {
          const ptrdiff_t at = (static_cast<ptrdiff_t>(lane / 2) * plan.pairs + pair) * 2 + lane % 2;
          const uint8_t* shuffle = plan.shuffle + at * 16 + output * 4;
          const int16_t* weights = plan.coefficients + at * 8 + output * 2;
          sum += source[shuffle[0]] * weights[0] + source[shuffle[2]] * weights[1];
        }
        const int32_t value = sum >> kAcrossShift;
        targets[row][lane * kLane + output] = static_cast<int16_t>(vp_clamp(value, INT16_MIN, INT16_MAX));
      }
    }
  }
}

#endif

// What is added before the fraction is cut off: the thresholds of a 2x2 ordered dither, 1/8 to 7/8 of a level. Plain
// rounding errs alike over a whole slope, which a slow move shows as a tremble of its shapes (and a fade as bands).
// Values without a fraction stay as they are.
inline int32_t threshold(int row, int column) {
  constexpr int32_t kEighths[4] = {1, 5, 7, 3};
  return kEighths[row % 2 * 2 + column % 2] << (kDownShift - 3);
}

inline uint8_t down_one(const int16_t* const* sources, const int16_t* coefficients, int taps, int row, int column) {
  int32_t sum = threshold(row, column);
  for (int tap = 0; tap < taps; ++tap) sum += sources[tap][column] * coefficients[tap];
  return static_cast<uint8_t>(vp_clamp(sum >> kDownShift, 0, 255));
}

#if defined(__AVX2__)

inline __m256i tap_pair(const int16_t* coefficients) {
  int32_t both;
  __builtin_memcpy(&both, coefficients, sizeof both);
  return _mm256_set1_epi32(both);
}

template <int kPairs>
void down_steps(const int16_t* const* sources, const int16_t* coefficients, uint8_t* target, int width,
                int row) {
  __m256i weights[kPairs];
  for (int pair = 0; pair < kPairs; ++pair) weights[pair] = tap_pair(coefficients + 2 * pair);
  const int32_t even = threshold(row, 0), odd = threshold(row, 1);
  const __m256i round = _mm256_setr_epi32(even, odd, even, odd, even, odd, even, odd);
  int column = 0;
  for (; column + 32 <= width; column += 32) {
    __m256i words[2];
    for (int half = 0; half < 2; ++half) {
      __m256i low = round, high = round;
      for (int pair = 0; pair < kPairs; ++pair) {
        const int at = column + 16 * half;
        const __m256i one = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(sources[2 * pair] + at));
        const __m256i two = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(sources[2 * pair + 1] + at));
        low = _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_unpacklo_epi16(one, two), weights[pair]));
        high = _mm256_add_epi32(high, _mm256_madd_epi16(_mm256_unpackhi_epi16(one, two), weights[pair]));
      }
      words[half] = _mm256_packs_epi32(_mm256_srai_epi32(low, kDownShift), _mm256_srai_epi32(high, kDownShift));
    }
    const __m256i bytes = _mm256_permute4x64_epi64(_mm256_packus_epi16(words[0], words[1]), 0xD8);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(target + column), bytes);
  }
  for (; column < width; ++column) target[column] = down_one(sources, coefficients, 2 * kPairs, row, column);
}

#elif defined(__SSE2__)

template <int kPairs>
void down_steps(const int16_t* const* sources, const int16_t* coefficients, uint8_t* target, int width,
                int row) {
  __m128i weights[kPairs];
  for (int pair = 0; pair < kPairs; ++pair) {
    int32_t both;
    __builtin_memcpy(&both, coefficients + 2 * pair, sizeof both);
    weights[pair] = _mm_set1_epi32(both);
  }
  const __m128i round = _mm_setr_epi32(threshold(row, 0), threshold(row, 1), threshold(row, 0), threshold(row, 1));
  int column = 0;
  for (; column + 16 <= width; column += 16) {
    __m128i words[2];
    for (int half = 0; half < 2; ++half) {
      __m128i low = round, high = round;
      for (int pair = 0; pair < kPairs; ++pair) {
        const int at = column + 8 * half;
        const __m128i one = _mm_loadu_si128(reinterpret_cast<const __m128i*>(sources[2 * pair] + at));
        const __m128i two = _mm_loadu_si128(reinterpret_cast<const __m128i*>(sources[2 * pair + 1] + at));
        low = _mm_add_epi32(low, _mm_madd_epi16(_mm_unpacklo_epi16(one, two), weights[pair]));
        high = _mm_add_epi32(high, _mm_madd_epi16(_mm_unpackhi_epi16(one, two), weights[pair]));
      }
      words[half] = _mm_packs_epi32(_mm_srai_epi32(low, kDownShift), _mm_srai_epi32(high, kDownShift));
    }
    _mm_storeu_si128(reinterpret_cast<__m128i*>(target + column), _mm_packus_epi16(words[0], words[1]));
  }
  for (; column < width; ++column) target[column] = down_one(sources, coefficients, 2 * kPairs, row, column);
}

#endif

#if defined(__SSE2__)

void resample_down_rows(const int16_t* const* sources, const int16_t* coefficients, int taps, uint8_t* target,
                        int width, int row) {
  switch (taps) {
    case 4: down_steps<2>(sources, coefficients, target, width, row); break;
    case 6: down_steps<3>(sources, coefficients, target, width, row); break;
    default: down_steps<4>(sources, coefficients, target, width, row); break;
  }
}

#else

void resample_down_rows(const int16_t* const* sources, const int16_t* coefficients, int taps, uint8_t* target,
                        int width, int row) {
  for (int column = 0; column < width; ++column) target[column] = down_one(sources, coefficients, taps, row, column);
}

#endif

}  // namespace
}  // namespace vp
