// A target's widest byte vector and the operations on it. Halves made by `low_words` and `high_words` are joined
// by `pack`, in the order that the instructions of the target use.
#pragma once

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

#if defined(__AVX512BW__)
#define VP_VECTOR 64
#define VP_VECTOR_OF(name) _mm512_##name
#elif defined(__AVX2__)
#define VP_VECTOR 32
#define VP_VECTOR_OF(name) _mm256_##name
#elif defined(__SSE2__)
#define VP_VECTOR 16
#define VP_VECTOR_OF(name) _mm_##name
#endif

#if defined(VP_VECTOR)

namespace vp {
namespace {

#if defined(__AVX512BW__)
using Vector = __m512i;
inline Vector zero() { return _mm512_setzero_si512(); }
inline Vector load(const void* from) { return _mm512_loadu_si512(from); }
inline void store(void* to, Vector bytes) { _mm512_storeu_si512(to, bytes); }
inline Vector exclusive_or(Vector one, Vector other) { return _mm512_xor_si512(one, other); }
#elif defined(__AVX2__)
using Vector = __m256i;
inline Vector zero() { return _mm256_setzero_si256(); }
inline Vector load(const void* from) { return _mm256_loadu_si256(static_cast<const Vector*>(from)); }
inline void store(void* to, Vector bytes) { _mm256_storeu_si256(static_cast<Vector*>(to), bytes); }
inline Vector exclusive_or(Vector one, Vector other) { return _mm256_xor_si256(one, other); }
#else
using Vector = __m128i;
inline Vector zero() { return _mm_setzero_si128(); }
inline Vector load(const void* from) { return _mm_loadu_si128(static_cast<const Vector*>(from)); }
inline void store(void* to, Vector bytes) { _mm_storeu_si128(static_cast<Vector*>(to), bytes); }
inline Vector exclusive_or(Vector one, Vector other) { return _mm_xor_si128(one, other); }
#endif

inline Vector words(int value) { return VP_VECTOR_OF(set1_epi16)(static_cast<int16_t>(value)); }
// `even` and `odd` interleaved.
inline Vector pairs(int even, int odd) {
  return VP_VECTOR_OF(set1_epi32)((even & 0xFFFF) | static_cast<int32_t>(static_cast<uint32_t>(odd) << 16));
}
inline Vector bytes(int value) { return VP_VECTOR_OF(set1_epi8)(static_cast<char>(value)); }
// Words with `above` as the upper byte and `below` as the lower.
inline Vector low_words(Vector above, Vector below) { return VP_VECTOR_OF(unpacklo_epi8)(below, above); }
inline Vector high_words(Vector above, Vector below) { return VP_VECTOR_OF(unpackhi_epi8)(below, above); }
inline Vector add(Vector one, Vector other) { return VP_VECTOR_OF(add_epi16)(one, other); }
inline Vector subtract(Vector one, Vector other) { return VP_VECTOR_OF(sub_epi16)(one, other); }
inline Vector high(Vector one, Vector other) { return VP_VECTOR_OF(mulhi_epu16)(one, other); }
inline Vector high_signed(Vector one, Vector other) { return VP_VECTOR_OF(mulhi_epi16)(one, other); }
template <int kBits>
inline Vector shift(Vector one) { return VP_VECTOR_OF(srli_epi16)(one, kBits); }
template <int kBits>
inline Vector shift_signed(Vector one) { return VP_VECTOR_OF(srai_epi16)(one, kBits); }
inline Vector pack(Vector low, Vector high) { return VP_VECTOR_OF(packus_epi16)(low, high); }
// (one * other + half) >> 14, where one lies within -8192 to 8191.
inline Vector share_of(Vector one, Vector other) {
#if defined(__AVX2__)
  return VP_VECTOR_OF(mulhrs_epi16)(add(one, one), other);
#else
  const Vector four = _mm_slli_epi16(one, 2);
  return add(high_signed(four, other), shift<15>(_mm_mullo_epi16(four, other)));
#endif
}
// Half a vector of bytes as words, in order.
inline Vector load_words(const uint8_t* from) {
#if defined(__AVX512BW__)
  return _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
#elif defined(__AVX2__)
  return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
#else
  return low_words(zero(), _mm_loadl_epi64(reinterpret_cast<const Vector*>(from)));
#endif
}
// Words as bytes, in order, clamped to 0 to 255.
inline Vector pack_in_order(Vector one, Vector two) {
#if defined(__AVX512BW__)
  return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), pack(one, two));
#elif defined(__AVX2__)
  return _mm256_permute4x64_epi64(pack(one, two), 0xD8);
#else
  return pack(one, two);
#endif
}
inline Vector pack_signed(Vector low, Vector high) { return VP_VECTOR_OF(packs_epi16)(low, high); }

}  // namespace
}  // namespace vp

#endif
