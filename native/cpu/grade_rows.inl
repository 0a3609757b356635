// Rows of graded frames; the formulas are in pixel/grade.h. Vectors of 16 bytes serve every instruction set, because
// loads from the knots take most of the time.
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "pixel/grade.h"

namespace vp {
namespace {

struct GradeWeightTable {
  GradeWeights of[kGradeStep * kGradeStep];
  constexpr GradeWeightTable() : of() {
    for (int v = 0; v < kGradeStep; ++v) {
      for (int u = 0; u < kGradeStep; ++u) {
        GradeWeights& weights = of[v * kGradeStep + u];
        const int four[4] = {(kGradeStep - u) * (kGradeStep - v), (kGradeStep - u) * v, u * (kGradeStep - v), u * v};
        for (int place = 0; place < 8; ++place) {
          weights.luma[place] = static_cast<int16_t>(four[place % 4]);
          weights.chroma[place] = static_cast<int16_t>(four[place / 4 * 2 + place % 2]);
        }
      }
    }
  }
};
constexpr GradeWeightTable kGradeWeights{};

void grade_places_row(const uint8_t* __restrict u, const uint8_t* __restrict v, const GradePlaces& places, int width) {
  uint32_t* __restrict cells = places.cells;
  uint16_t* __restrict shares = places.shares;
  int x = 0;
#if defined(__SSE2__)
  const __m128i none = _mm_setzero_si128(), low = _mm_set1_epi16(kGradeStep - 1), knots = _mm_set1_epi32(kCellKnots);
  const auto place = [&](__m128i blue, __m128i red, int column) {
    const __m128i share = _mm_or_si128(_mm_slli_epi16(_mm_and_si128(red, low), kGradeBits), _mm_and_si128(blue, low));
    const __m128i row = _mm_slli_epi16(_mm_srli_epi16(red, kGradeBits), 8 - kGradeBits);
    const __m128i cell = _mm_or_si128(row, _mm_srli_epi16(blue, kGradeBits));
    auto* to = reinterpret_cast<__m128i*>(cells + column);
    _mm_storeu_si128(to, _mm_madd_epi16(_mm_unpacklo_epi16(cell, none), knots));
    _mm_storeu_si128(to + 1, _mm_madd_epi16(_mm_unpackhi_epi16(cell, none), knots));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(shares + column), share);
  };
  for (; x + 17 <= width; x += 16) {
    const auto at = [](const uint8_t* from) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)); };
    const __m128i blue = at(u + x), blue_between = _mm_avg_epu8(blue, at(u + x + 1));
    const __m128i red = at(v + x), red_between = _mm_avg_epu8(red, at(v + x + 1));
    const __m128i blues[2] = {_mm_unpacklo_epi8(blue, blue_between), _mm_unpackhi_epi8(blue, blue_between)};
    const __m128i reds[2] = {_mm_unpacklo_epi8(red, red_between), _mm_unpackhi_epi8(red, red_between)};
    for (int half = 0; half < 2; ++half) {
      const int column = 2 * x + 16 * half;
      place(_mm_unpacklo_epi8(blues[half], none), _mm_unpacklo_epi8(reds[half], none), column);
      place(_mm_unpackhi_epi8(blues[half], none), _mm_unpackhi_epi8(reds[half], none), column + 8);
    }
  }
#endif
  for (; x < width; ++x) {
    const int next = x + 1 < width ? x + 1 : x;
    const int between_u = (u[x] + u[next] + 1) >> 1, between_v = (v[x] + v[next] + 1) >> 1;
    cells[2 * x] = grade_cell(u[x], v[x]);
    shares[2 * x] = grade_share(u[x], v[x]);
    cells[2 * x + 1] = grade_cell(between_u, between_v);
    shares[2 * x + 1] = grade_share(between_u, between_v);
  }
}

#if defined(__SSE2__)

// The new levels of two columns and rows, and the pairs of sums of their chroma.
struct GradedBlock {
  __m128i luma, chroma;
};

inline GradedBlock graded_block(const GradeRows& rows, int x) {
  const size_t a = rows.one[x], b = rows.one[x + 1], c = rows.two[x], d = rows.two[x + 1];  // as wide as an address
  const uint32_t cell = rows.places.cells[x];
  const GradeWeights& weights = kGradeWeights.of[rows.places.shares[x]];
  const auto pairs = [](const int16_t* knots, size_t one, size_t two, const GradeWeights& share) {
    const auto* second = reinterpret_cast<const __m64*>(knots + 4 * two);
    const __m128i first = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(knots + 4 * one));
    const __m128i both = _mm_castps_si128(_mm_loadh_pi(_mm_castsi128_ps(first), second));
    return _mm_castsi128_ps(_mm_madd_epi16(both, _mm_load_si128(reinterpret_cast<const __m128i*>(share.luma))));
  };
  const __m128 left = pairs(rows.luma + cell, a, c, weights);
  const __m128 right = pairs(rows.luma + rows.places.cells[x + 1], b, d, kGradeWeights.of[rows.places.shares[x + 1]]);
  const __m128i one = _mm_castps_si128(_mm_shuffle_ps(left, right, 0x88));
  const __m128i other = _mm_castps_si128(_mm_shuffle_ps(left, right, 0xDD));
  const __m128i half = _mm_set1_epi32(1 << (kGradeShift - 1));
  const __m128i luma = _mm_srai_epi32(_mm_add_epi32(_mm_add_epi32(one, other), half), kGradeShift);
  const int16_t* chroma = rows.chroma + cell + ((a + b + c + d + 2) >> 3) * 8;
  return {luma, _mm_madd_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(chroma)),
                               _mm_load_si128(reinterpret_cast<const __m128i*>(weights.chroma)))};
}

// Levels of U and V, twice each, from pairs of sums.
inline __m128i chroma_levels(__m128i one, __m128i two) {
  const __m128i sums = _mm_add_epi32(_mm_unpacklo_epi64(one, two), _mm_unpackhi_epi64(one, two));
  return _mm_srai_epi32(_mm_add_epi32(sums, _mm_set1_epi32(1 << (kGradeShift - 1))), kGradeShift);
}

// Bytes at even places, then those at odd ones.
inline __m128i parted(__m128i bytes) {
  return _mm_packus_epi16(_mm_and_si128(bytes, _mm_set1_epi16(255)), _mm_srli_epi16(bytes, 8));
}

#endif

void grade_two_rows(const GradeRows& rows) {
  const GradeRows own = rows;  // a store to a row could change `rows`
  int x = 0;
#if defined(__SSE2__)
  for (; x + 8 <= own.width; x += 8) {
    const GradedBlock first = graded_block(own, x), second = graded_block(own, x + 2);
    const GradedBlock third = graded_block(own, x + 4), fourth = graded_block(own, x + 6);
    const __m128i left = _mm_packs_epi32(first.luma, second.luma), right = _mm_packs_epi32(third.luma, fourth.luma);
    const __m128i luma = parted(_mm_packus_epi16(left, right));
    const __m128i words = _mm_packs_epi32(chroma_levels(first.chroma, second.chroma),
                                          chroma_levels(third.chroma, fourth.chroma));
    const __m128i chroma = parted(_mm_packus_epi16(words, words));
    const int blue = _mm_cvtsi128_si32(chroma), red = _mm_cvtsi128_si32(_mm_srli_si128(chroma, 8));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(own.to_one + x), luma);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(own.to_two + x), _mm_unpackhi_epi64(luma, luma));
    __builtin_memcpy(own.to_u + x / 2, &blue, 4);
    __builtin_memcpy(own.to_v + x / 2, &red, 4);
  }
#endif
  for (; x < own.width; x += 2) {
    const int other = x + 1 < own.width ? x + 1 : x;  // a picture of odd width ends in one column
    const auto luma_of = [&](int column, int y) {
      const int16_t* knots = own.luma + own.places.cells[column] + 4 * y;
      return level_between(knots, 2, kGradeWeights.of[own.places.shares[column]].luma);
    };
    const int a = own.one[x], b = own.one[other], c = own.two[x], d = own.two[other];
    own.to_one[x] = luma_of(x, a);
    own.to_two[x] = luma_of(x, c);
    own.to_one[other] = luma_of(other, b);
    own.to_two[other] = luma_of(other, d);
    const int16_t* chroma = own.chroma + own.places.cells[x] + ((a + b + c + d + 2) >> 3) * 8;
    const int16_t* weights = kGradeWeights.of[own.places.shares[x]].luma;
    own.to_u[x / 2] = level_between(chroma, 4, weights);
    own.to_v[x / 2] = level_between(chroma + 2, 4, weights);
  }
}

}  // namespace
}  // namespace vp
