namespace vp {
namespace {
void mix_level_row(uint8_t*, int, int, int) {}
void blend_luma_row(uint8_t*, const uint8_t*, const uint8_t*, int, int) {}
void blend_chroma_row(uint8_t*, const int8_t*, const uint8_t*, int, int) {}
}  // namespace
}  // namespace vp
