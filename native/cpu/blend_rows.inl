// Rows of fades and overlays: the formulas of pixel/blend.h, on vectors.
#include "cpu/vector.inl"
#include "pixel/blend.h"

namespace vp {
namespace {

#if defined(VP_VECTOR)

// Draws all columns in place; `drawn(x)` draws a vector at x. Returns false if a row is narrower than a vector.
template <typename Drawn>
bool draw_columns(uint8_t* target, int width, Drawn drawn) {
  if (width < VP_VECTOR) return false;
  // The last vector overlaps the one before, so it is computed before that one is stored.
  const Vector last = drawn(width - VP_VECTOR);
  for (int x = 0; x + VP_VECTOR <= width; x += VP_VECTOR) store(target + x, drawn(x));
  store(target + width - VP_VECTOR, last);
  return true;
}

#endif

void mix_level_row(uint8_t* target, int width, int level, int amount) {
  if (amount <= 0) return;
  if (amount >= VP_ONE) {
    __builtin_memset(target, level, static_cast<size_t>(width));
    return;
  }
  const auto kept = static_cast<uint16_t>(VP_ONE - amount);
  const uint16_t added = vp_mix_added(level, amount);
#if defined(VP_VECTOR)
  const Vector weight = words(kept), base = words(added);
  const auto drawn = [&](int x) {
    const Vector line = load(target + x);
    const Vector one = add(high(low_words(line, zero()), weight), base);
    const Vector two = add(high(high_words(line, zero()), weight), base);
    return pack(shift<8>(one), shift<8>(two));
  };
  if (draw_columns(target, width, drawn)) return;
#endif
  for (int x = 0; x < width; ++x) target[x] = vp_mix_level(target[x], kept, added);
}

#if defined(VP_VECTOR)

// Takes level, picture and alpha as 16-bit values; returns the blended level.
inline Vector blend_words(Vector level, Vector picture, Vector alpha, Vector opacity) {
  const Vector left = subtract(words(-1), high(alpha, opacity));
  return shift<8>(add(add(high(picture, opacity), high(level, left)), words(128)));
}

inline Vector blend_signed_words(Vector level, Vector picture, Vector alpha, Vector opacity) {
  const Vector left = shift<1>(subtract(words(-1), high(alpha, opacity)));
  const Vector above = high_signed(picture, shift<1>(opacity));
  return shift_signed<7>(add(add(above, high_signed(level, left)), words(64)));
}

#endif

void blend_luma_row(uint8_t* target, const uint8_t* picture, const uint8_t* alpha, int width, int opacity) {
  const uint16_t part = vp_opacity(opacity);
#if defined(VP_VECTOR)
  const Vector parts = words(part);
  const auto drawn = [&](int x) {
    const Vector level = load(target + x), shown = load(picture + x), cover = load(alpha + x);
    const Vector one =
        blend_words(low_words(level, zero()), low_words(shown, zero()), low_words(cover, cover), parts);
    const Vector two =
        blend_words(high_words(level, zero()), high_words(shown, zero()), high_words(cover, cover), parts);
    return pack(one, two);
  };
  if (draw_columns(target, width, drawn)) return;
#endif
  for (int x = 0; x < width; ++x) target[x] = vp_blend_luma(target[x], picture[x], alpha[x], part);
}

void blend_chroma_row(uint8_t* target, const int8_t* picture, const uint8_t* alpha, int width, int opacity) {
  const uint16_t part = vp_opacity(opacity);
#if defined(VP_VECTOR)
  const Vector parts = words(part), grey = bytes(0x80);
  const auto drawn = [&](int x) {
    const Vector level = exclusive_or(load(target + x), grey), shown = load(picture + x), cover = load(alpha + x);
    const Vector one =
        blend_signed_words(low_words(level, zero()), low_words(shown, zero()), low_words(cover, cover), parts);
    const Vector two =
        blend_signed_words(high_words(level, zero()), high_words(shown, zero()), high_words(cover, cover), parts);
    return exclusive_or(pack_signed(one, two), grey);
  };
  if (draw_columns(target, width, drawn)) return;
#endif
  for (int x = 0; x < width; ++x) target[x] = vp_blend_chroma(target[x], picture[x], alpha[x], part);
}

}  // namespace
}  // namespace vp
