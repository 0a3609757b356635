// Separable resampling of rows of bytes; see AcrossPlan and resample.cpp.
//
// Both passes multiply 16 bits by 16 and keep the upper half of each product. What is cut off is half a step for each
// tap in the mean, which is added again.
#include "cpu/vector.inl"

namespace vp {
namespace {

constexpr int kByteShift = 8;  // of a source byte, which counts from 128, before it meets its weight
static_assert(kByteShift + kWeightBits - 16 == kFractionBits);
constexpr int kDownBits = kFractionBits + kWeightBits - 16;

#if defined(__AVX2__)

template <int kTaps, int kCount>
void across_blocks(const AcrossPlan& plan, const uint8_t* const* sources, int16_t* const* targets) {
  constexpr int kTogether = taps_a_load(kTaps);
  const Vector from_128 = bytes(0x80), next = words(1 << kByteShift), cut = words(kTaps / 2);
  for (int block = 0; block < plan.blocks; ++block) {
    const int32_t low = plan.base[2 * block], high = plan.base[2 * block + 1];
    const int16_t* weights = plan.weights + static_cast<ptrdiff_t>(block) * kTaps * kBlock;
    const Vector first = load(plan.places + static_cast<ptrdiff_t>(block) * kBlock);
    Vector sums[kCount];
    for (int row = 0; row < kCount; ++row) sums[row] = cut;
    for (int begin = 0; begin < kTaps; begin += kTogether) {
      Vector loaded[kCount];
      for (int row = 0; row < kCount; ++row) {
        const auto* one = reinterpret_cast<const __m128i*>(sources[row] + low + begin);
        const auto* two = reinterpret_cast<const __m128i*>(sources[row] + high + begin);
        const Vector both = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(one)), _mm_loadu_si128(two), 1);
        loaded[row] = exclusive_or(both, from_128);
      }
      Vector places = first;
      for (int tap = begin; tap < begin + kTogether && tap < kTaps; ++tap) {
        const Vector weight = load(weights + tap * kBlock);
        for (int row = 0; row < kCount; ++row) {
          sums[row] = add(sums[row], high_signed(_mm256_shuffle_epi8(loaded[row], places), weight));
        }
        places = add(places, next);
      }
    }
    for (int row = 0; row < kCount; ++row) store(targets[row] + static_cast<ptrdiff_t>(block) * kBlock, sums[row]);
  }
}

#elif defined(__SSE2__)

// There is no byte shuffle here, so each output loads four taps, which lie side by side. Even and odd taps are then the
// lower and the upper bytes of words, beside weights that are laid in the same way.
inline Vector load_four_outputs(const uint8_t* source, const int32_t* places) {
  int32_t taps[4];
  for (int output = 0; output < 4; ++output) __builtin_memcpy(&taps[output], source + places[output], sizeof taps[0]);
  const Vector low = _mm_unpacklo_epi32(_mm_cvtsi32_si128(taps[0]), _mm_cvtsi32_si128(taps[1]));
  const Vector high = _mm_unpacklo_epi32(_mm_cvtsi32_si128(taps[2]), _mm_cvtsi32_si128(taps[3]));
  return _mm_unpacklo_epi64(low, high);
}

template <int kTaps, int kCount>
void across_blocks(const AcrossPlan& plan, const uint8_t* const* sources, int16_t* const* targets) {
  constexpr int kHalf = kLane / 2;
  const Vector from_128 = bytes(0x80), upper = words(0xFF00), ones = words(1);
  const Vector cut = _mm_set1_epi32(kTaps / 2);
  for (int at = 0; at < plan.blocks * kBlock; at += kHalf) {
    int32_t places[kHalf];
    for (int output = 0; output < kHalf; ++output) {
      places[output] = plan.base[at / kLane] + (plan.places[at + output] >> kByteShift);
    }
    const int16_t* weights = plan.weights + static_cast<ptrdiff_t>(at / kBlock) * kTaps * kBlock + at % kBlock;
    Vector sums[kCount];
    for (int row = 0; row < kCount; ++row) sums[row] = cut;
    for (int begin = 0; begin < kTaps; begin += 4) {
      // The last load of six taps begins two taps early, and those have no weight in it.
      const int first = begin + 4 <= kTaps ? begin : kTaps - 4;
      Vector of_tap[4];
      for (int tap = 0; tap < 4; ++tap) {
        const auto* from = reinterpret_cast<const Vector*>(weights + (first + tap) * kBlock);
        of_tap[tap] = first + tap < begin ? zero() : _mm_loadl_epi64(from);
      }
      const Vector even = _mm_unpacklo_epi16(of_tap[0], of_tap[2]);
      const Vector odd = _mm_unpacklo_epi16(of_tap[1], of_tap[3]);
      for (int row = 0; row < kCount; ++row) {
        const Vector taps = exclusive_or(load_four_outputs(sources[row] + first, places), from_128);
        const Vector products = add(high_signed(_mm_slli_epi16(taps, 8), even),
                                    high_signed(_mm_and_si128(taps, upper), odd));
        sums[row] = _mm_add_epi32(sums[row], _mm_madd_epi16(products, ones));
      }
    }
    for (int row = 0; row < kCount; ++row) {
      _mm_storel_epi64(reinterpret_cast<Vector*>(targets[row] + at), _mm_packs_epi32(sums[row], sums[row]));
    }
  }
}

#else

template <int kTaps, int kCount>
void across_blocks(const AcrossPlan& plan, const uint8_t* const* sources, int16_t* const* targets) {
  for (int block = 0; block < plan.blocks; ++block) {
    for (int row = 0; row < kCount; ++row) {
      const int16_t* weights = plan.weights + static_cast<ptrdiff_t>(block) * kTaps * kBlock;
      int16_t sums[kBlock], taps[kTaps][kBlock];
      for (int output = 0; output < kBlock; ++output) {
        const ptrdiff_t at = static_cast<ptrdiff_t>(block) * kBlock + output;
        const uint8_t* from = sources[row] + plan.base[at / kLane] + (plan.places[at] >> kByteShift);
        for (int tap = 0; tap < kTaps; ++tap) {
          taps[tap][output] = static_cast<int16_t>((from[tap] - 128) * (1 << kByteShift));
        }
        sums[output] = kTaps / 2;
      }
      for (int tap = 0; tap < kTaps; ++tap) {
        for (int output = 0; output < kBlock; ++output) {
          sums[output] = static_cast<int16_t>(sums[output] + ((taps[tap][output] * weights[tap * kBlock + output]) >> 16));
        }
      }
      __builtin_memcpy(targets[row] + static_cast<ptrdiff_t>(block) * kBlock, sums, sizeof sums);
    }
  }
}

#endif

template <int kTaps>
void across_batch(const AcrossPlan& plan, const uint8_t* const* sources, int16_t* const* targets, int count) {
  if (count == kRowBatch) {
    across_blocks<kTaps, kRowBatch>(plan, sources, targets);
    return;
  }
  for (int row = 0; row < count; ++row) across_blocks<kTaps, 1>(plan, sources + row, targets + row);
}

void resample_across_rows(const AcrossPlan& plan, const uint8_t* const* sources, int16_t* const* targets, int count) {
  switch (plan.taps) {
    case 4: across_batch<4>(plan, sources, targets, count); break;
    case 6: across_batch<6>(plan, sources, targets, count); break;
    default: across_batch<8>(plan, sources, targets, count); break;
  }
}

// What is added before the fraction is cut off: the thresholds of a 2x2 ordered dither, 1/8 to 7/8 of a level. Plain
// rounding errs alike over a whole slope, which a slow move shows as a tremble of its shapes (and a fade as bands).
// Values without a fraction stay as they are. Beside them, the 128 that values count from, and what products lost.
inline int16_t threshold(int taps, int row, int column) {
  constexpr int kEighths[4] = {1, 5, 7, 3};
  const int dither = kEighths[row % 2 * 2 + column % 2] << (kDownBits - 3);
  return static_cast<int16_t>((128 << kDownBits) + dither + taps / 2);
}

inline uint8_t down_one(const int16_t* const* sources, const int16_t* weights, int taps, int row, int column) {
  int32_t sum = threshold(taps, row, column);
  for (int tap = 0; tap < taps; ++tap) sum += (sources[tap][column] * weights[tap]) >> 16;
  return static_cast<uint8_t>(vp_clamp(sum >> kDownBits, 0, 255));
}

template <int kTaps>
void down_columns(const int16_t* const* sources, const int16_t* weights, uint8_t* target, int width, int row) {
  int column = 0;
#if defined(VP_VECTOR)
  constexpr int kWords = VP_VECTOR / 2;
  const auto draw = [&](int at, const Vector* of_tap, Vector round) {
    Vector sums[2] = {round, round};
    for (int tap = 0; tap < kTaps; ++tap) {
      sums[0] = add(sums[0], high_signed(load(sources[tap] + at), of_tap[tap]));
      sums[1] = add(sums[1], high_signed(load(sources[tap] + at + kWords), of_tap[tap]));
    }
    store(target + at, pack_in_order(shift_signed<kDownBits>(sums[0]), shift_signed<kDownBits>(sums[1])));
  };
  if (width >= VP_VECTOR) {
    Vector of_tap[kTaps];
    for (int tap = 0; tap < kTaps; ++tap) of_tap[tap] = words(weights[tap]);
    const Vector round = pairs(threshold(kTaps, row, 0), threshold(kTaps, row, 1));
    for (; column + VP_VECTOR <= width; column += VP_VECTOR) draw(column, of_tap, round);
    // The rest together with some of what is drawn already.
    if (column < width) {
      const int at = width - VP_VECTOR;
      draw(at, of_tap, pairs(threshold(kTaps, row, at), threshold(kTaps, row, at + 1)));
    }
    return;
  }
#endif
  for (; column < width; ++column) target[column] = down_one(sources, weights, kTaps, row, column);
}

void resample_down_rows(const int16_t* const* sources, const int16_t* weights, int taps, uint8_t* target, int width,
                        int row) {
  switch (taps) {
    case 4: down_columns<4>(sources, weights, target, width, row); break;
    case 6: down_columns<6>(sources, weights, target, width, row); break;
    default: down_columns<8>(sources, weights, target, width, row); break;
  }
}

}  // namespace
}  // namespace vp
