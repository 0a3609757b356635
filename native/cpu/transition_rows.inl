namespace vp {
namespace {
void transition_row(const TransitionFrame&, const TransitionPlane&, int, uint8_t*) {}
}  // namespace
}  // namespace vp
