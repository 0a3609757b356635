#include "cpu/transition.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu/rows.h"

namespace vp {
namespace {

constexpr int kOpen = 1, kClose = 0;                // VP_MIDDLE, VP_CIRCLE
constexpr int kCrop = 1;                            // VP_EDGE
constexpr int kSlide = 0, kCover = 1, kReveal = 2;  // VP_SPANS: both pictures move, only the second, only the first
constexpr int kBlack = 0, kWhite = 1, kGrey = 2;    // VP_THROUGH
constexpr int kFast = 0, kSlow = 1;                 // VP_BY_DIFFERENCE

// xfade's levels: full byte range, neutral chroma.
constexpr int kBlackLuma = 0, kWhiteLuma = 255, kNeutral = 128;

}  // namespace

const TransitionRecord kTransitionRecords[kTransitions] = {
    {"fade", "one picture fades into the other", VP_EVEN, 0, 0, 0},
    {"fadefast", "a fade that is faster where the pictures differ", VP_BY_DIFFERENCE, 0, 0, kFast},
    {"fadeslow", "a fade that is slower where the pictures differ", VP_BY_DIFFERENCE, 0, 0, kSlow},
    {"fadeblack", "out to black, in from black", VP_THROUGH, 0, 0, kBlack},
    {"fadewhite", "out to white, in from white", VP_THROUGH, 0, 0, kWhite},
    {"fadegrays", "out to grey, in from grey", VP_THROUGH, 0, 0, kGrey},
    {"wipeleft", "a hard edge moves left", VP_EDGE, -1, 0, 0},
    {"wiperight", "a hard edge moves right", VP_EDGE, 1, 0, 0},
    {"wipeup", "a hard edge moves up", VP_EDGE, 0, -1, 0},
    {"wipedown", "a hard edge moves down", VP_EDGE, 0, 1, 0},
    {"slideleft", "both pictures move left", VP_SPANS, -1, 0, kSlide},
    {"slideright", "both pictures move right", VP_SPANS, 1, 0, kSlide},
    {"slideup", "both pictures move up", VP_SPANS, 0, -1, kSlide},
    {"slidedown", "both pictures move down", VP_SPANS, 0, 1, kSlide},
    {"smoothleft", "a soft edge moves left", VP_SMOOTH, -1, 0, 0},
    {"smoothright", "a soft edge moves right", VP_SMOOTH, 1, 0, 0},
    {"smoothup", "a soft edge moves up", VP_SMOOTH, 0, -1, 0},
    {"smoothdown", "a soft edge moves down", VP_SMOOTH, 0, 1, 0},
    {"coverleft", "the second picture moves left over the first", VP_SPANS, -1, 0, kCover},
    {"coverright", "the second picture moves right over the first", VP_SPANS, 1, 0, kCover},
    {"coverup", "the second picture moves up over the first", VP_SPANS, 0, -1, kCover},
    {"coverdown", "the second picture moves down over the first", VP_SPANS, 0, 1, kCover},
    {"revealleft", "the first picture moves left off the second", VP_SPANS, -1, 0, kReveal},
    {"revealright", "the first picture moves right off the second", VP_SPANS, 1, 0, kReveal},
    {"revealup", "the first picture moves up off the second", VP_SPANS, 0, -1, kReveal},
    {"revealdown", "the first picture moves down off the second", VP_SPANS, 0, 1, kReveal},
    {"wipetl", "the first picture withdraws to the top left", VP_EDGE, -1, -1, 0},
    {"wipetr", "the first picture withdraws to the top right", VP_EDGE, 1, -1, 0},
    {"wipebl", "the first picture withdraws to the bottom left", VP_EDGE, -1, 1, 0},
    {"wipebr", "the first picture withdraws to the bottom right", VP_EDGE, 1, 1, 0},
    {"circleopen", "a soft circle opens", VP_CIRCLE, 0, 0, kOpen},
    {"circleclose", "a soft circle closes", VP_CIRCLE, 0, 0, kClose},
    {"circlecrop", "a disc on black closes on the first picture and opens on the second", VP_DISC, 0, 0, kCrop},
    {"rectcrop", "a rectangle on black closes on the first picture and opens on the second", VP_EDGE, 0, 0, kCrop},
    {"vertopen", "two soft upright edges move from the middle", VP_MIDDLE, 1, 0, kOpen},
    {"vertclose", "two soft upright edges move to the middle", VP_MIDDLE, 1, 0, kClose},
    {"horzopen", "two soft level edges move from the middle", VP_MIDDLE, 0, 1, kOpen},
    {"horzclose", "two soft level edges move to the middle", VP_MIDDLE, 0, 1, kClose},
    {"diagtl", "a soft edge moves to the top left", VP_DIAGONAL, -1, -1, 0},
    {"diagtr", "a soft edge moves to the top right", VP_DIAGONAL, 1, -1, 0},
    {"diagbl", "a soft edge moves to the bottom left", VP_DIAGONAL, -1, 1, 0},
    {"diagbr", "a soft edge moves to the bottom right", VP_DIAGONAL, 1, 1, 0},
    {"hlslice", "ten upright bands open, from the right on", VP_SLICE, -1, 0, 0},
    {"hrslice", "ten upright bands open, from the left on", VP_SLICE, 1, 0, 0},
    {"vuslice", "ten level bands open, from the bottom on", VP_SLICE, 0, -1, 0},
    {"vdslice", "ten level bands open, from the top on", VP_SLICE, 0, 1, 0},
    {"hlwind", "wind blows left through the rows", VP_WIND, -1, 0, 0},
    {"hrwind", "wind blows right through the rows", VP_WIND, 1, 0, 0},
    {"vuwind", "wind blows up through the columns", VP_WIND, 0, -1, 0},
    {"vdwind", "wind blows down through the columns", VP_WIND, 0, 1, 0},
    {"radial", "a soft edge turns about the middle", VP_RADIAL, 0, 0, 0},
    {"distance", "pixels that differ most change first", VP_DISTANCE, 0, 0, 0},
    {"dissolve", "pixels change one by one", VP_DISSOLVE, 0, 0, 0},
    {"pixelize", "a fade through large pixels", VP_BLOCKS, 0, 0, 0},
    {"hblur", "a fade through a blur across", VP_BLUR, 0, 0, 0},
    {"squeezeh", "the first picture is pressed to a line across", VP_SQUEEZE, 0, 1, 0},
    {"squeezev", "the first picture is pressed to an upright line", VP_SQUEEZE, 1, 0, 0},
    {"zoomin", "the first picture grows and fades", VP_ZOOM, 0, 0, 0},
};

const TransitionRecord* find_transition(std::string_view name) {
  for (const TransitionRecord& record : kTransitionRecords) {
    if (name == record.name) return &record;
  }
  return nullptr;
}

namespace {

double smoothstep(double low, double high, double value) {
  const double t = std::clamp((value - low) / (high - low), 0.0, 1.0);
  return t * t * (3 - 2 * t);
}

int32_t on_line(double value) { return static_cast<int32_t>(std::lround(value * (1 << VP_LINE_BITS))); }
int32_t as_weight(double value) { return static_cast<int32_t>(std::lround(value * VP_WEIGHT_ONE)); }
int64_t as_place(double value) { return std::llround(value * 4294967296.0); }
int whole(int length, float part) { return static_cast<int>(static_cast<float>(length) * part); }

// The range [low, high) of a line that shows the first picture; if it reaches the end, it includes the last sample.
void set_part(int32_t& low, int32_t& high, int from, int to, int length) {
  low = std::clamp(from, 0, length);
  high = std::clamp(to, 0, length);
  if (low >= high) low = high = 0;
  if (high == length) high = length + 1;
}

void prepare_edge(TransitionFrame& frame, const TransitionRecord& record, float p, int width, int height) {
  const auto side = [p](int32_t& low, int32_t& high, int towards, int length) {
    if (towards < 0) set_part(low, high, 0, whole(length, p) + 1, length);
    if (towards == 0) set_part(low, high, 0, length, length);
    if (towards > 0) set_part(low, high, whole(length, 1 - p) + 1, length, length);
  };
  if (record.option == kCrop) {
    const int reach_x = whole(width, std::abs(p - 0.5f)), reach_y = whole(height, std::abs(p - 0.5f));
    set_part(frame.low_x, frame.high_x, width / 2 - reach_x + 1, width / 2 + reach_x, width);
    set_part(frame.low_y, frame.high_y, height / 2 - reach_y + 1, height / 2 + reach_y, height);
    frame.varies = VP_ACROSS | VP_DOWN;
    return;
  }
  side(frame.low_x, frame.high_x, record.x, width);
  side(frame.low_y, frame.high_y, record.y, height);
}

// A soft edge: the second picture's weight is the smoothstep of 1 + place - 2p, place 0 to 1.
void prepare_soft(TransitionFrame& frame, const TransitionRecord& record, double p, int width, int height) {
  double base = 1 - 2 * p;
  const auto side = [&base](int towards, int length) {
    if (towards > 0) base += (length - 1.0) / length;
    return on_line(-towards * 0.5 / length);
  };
  frame.slope_x = side(record.x, width);
  frame.slope_y = side(record.y, height);
  frame.base = on_line(base);
  frame.opposite = 1;
}

void prepare_middle(TransitionFrame& frame, const TransitionRecord& record, double p, int width, int height) {
  const int sign = record.option == kOpen ? -1 : 1;
  frame.base = on_line((record.option == kOpen ? 2 : 1) - 2 * p);
  frame.slope_x = on_line(sign * record.x / static_cast<double>(width));
  frame.slope_y = on_line(sign * record.y / static_cast<double>(height));
  frame.centre_x = width;
  frame.centre_y = height;
  frame.opposite = 1;
}

// Measure positions from the side that the transition moves to, in half pixels (for bands: in pixels).
void set_sides(TransitionFrame& frame, const TransitionRecord& record, int last_x, int last_y) {
  frame.start_x = record.x > 0 ? last_x : 0;
  frame.sign_x = record.x > 0 ? -1 : 1;
  frame.start_y = record.y > 0 ? last_y : 0;
  frame.sign_y = record.y > 0 ? -1 : 1;
}

void prepare_slice(TransitionFrame& frame, const TransitionRecord& record, float p, int width, int height) {
  set_sides(frame, record, width - 1, height - 1);
  frame.base = on_line(1 - 2.0 * static_cast<double>(p * 1.5f));
  frame.slope_x = record.x ? on_line(2.0 / width) : 0;
  frame.slope_y = record.y ? on_line(2.0 / height) : 0;
}

void prepare_wind(TransitionFrame& frame, const TransitionRecord& record, double p, int width, int height) {
  // The smoothstep between 0 and -1/5 of 4/5 place + 1/5 noise - 6/5 (1 - p): everything times -5.
  const int towards = record.x + record.y;
  frame.base = on_line(6 * (1 - p) - (towards < 0 ? 4 : 0));
  frame.slope_x = on_line(-record.x * 2.0 / width);
  frame.slope_y = on_line(-record.y * 2.0 / height);
  frame.opposite = 1;
}

void prepare_round(TransitionFrame& frame, const TransitionRecord& record, double p, int width, int height) {
  frame.centre_x = width / 2 * 2;
  frame.centre_y = height / 2 * 2;
  const double reach = std::max(std::hypot(width / 2, height / 2), 0.5);
  switch (record.formula) {
    case VP_DISC: {
      const double radius = std::pow(2 * std::abs(p - 0.5), 3) * reach;
      frame.limit = static_cast<int32_t>(std::floor(radius * radius * (1 + 1e-6)));
      break;
    }
    case VP_CIRCLE:
      frame.slope_x = static_cast<int32_t>(std::lround((1 << 28) / reach));
      frame.base = on_line(record.option == kOpen ? (p - 0.5) * 3 : (0.5 - p) * 3);
      frame.opposite = record.option == kClose;
      break;
    default:
      frame.base = on_line((0.5 - p) * 2.5 * M_PI);
      frame.opposite = 1;
  }
}

void prepare_through(TransitionFrame& frame, const TransitionRecord& record, double p) {
  const bool luma = frame.shift_x == 0;
  double first = p, second = 1 - p;
  if (record.option != kGrey || !luma) {
    first *= smoothstep(0.8, 1, p);
    second *= 1 - smoothstep(0.2, 1, p);
  }
  const int level = !luma ? kNeutral : record.option == kBlack ? kBlackLuma : kWhiteLuma;
  frame.first_share = as_weight(first);
  frame.second_share = std::min(as_weight(second), VP_WEIGHT_ONE - frame.first_share);
  if (record.option == kGrey && luma) frame.second_share = VP_WEIGHT_ONE - frame.first_share;
  frame.constant = level * (VP_WEIGHT_ONE - frame.first_share - frame.second_share) + VP_WEIGHT_ONE / 2;
}

void prepare_table(TransitionFrame& frame, const TransitionRecord& record, double p) {
  for (int difference = -255; difference <= 255; ++difference) {
    const double apart = std::abs(difference) / 255.0;
    const double weight = std::pow(p, 1 + std::log(record.option == kFast ? 1 + apart : 2 - apart));
    frame.by_difference[difference + 255] = static_cast<int16_t>(std::floor(difference * weight + 0.5));
  }
}

void prepare_spans(TransitionFrame& frame, const TransitionRecord& record, float p, int width, int height) {
  const int length = record.x ? width : height;
  const int moved = whole(length, p);
  frame.varies = record.x ? VP_ACROSS : VP_DOWN;
  const bool backward = record.x + record.y < 0;  // the first picture is left of or above the second
  frame.split = backward ? moved : length - moved;
  frame.near_picture = backward ? 0 : 1;
  frame.far_picture = 1 - frame.near_picture;
  const int into = record.option == kReveal ? 0 : backward ? -moved : moved;
  const int out = record.option == kCover ? 0 : backward ? length - moved : moved - length;
  frame.near_shift = backward ? out : into;
  frame.far_shift = backward ? into : out;
}

void prepare_squeeze(TransitionFrame& frame, const TransitionRecord& record, float p, int width, int height) {
  const int length = record.x ? width : height;
  int low = 0, high = 0;
  // The ends are computed in float, as in xfade, because they often fall exactly on a line.
  for (int line = 0; line < length; ++line) {
    const float place = 0.5f + (static_cast<float>(line) / static_cast<float>(length) - 0.5f) / p;
    if (place >= 0 && place <= 1) {
      if (high == 0) low = line;
      high = line + 1;
    }
  }
  if (high == 0) high = low = 0;
  frame.varies = record.x ? VP_ACROSS : VP_DOWN;
  (record.x ? frame.low_x : frame.low_y) = low;
  (record.x ? frame.high_x : frame.high_y) = high;
  const double part = std::max<double>(p, 1e-6);
  frame.place_x = as_place(0.5 * (length - 1));
  // If nothing of it is shown the step is unused, and would overflow as p approaches 0.
  frame.step_x = high == 0 ? 0 : as_place((length - 1) / (2 * length * part));
}

void prepare_zoom(TransitionFrame& frame, double p, int width, int height) {
  const double zoom = smoothstep(0.5, 1, p);
  frame.amount = as_weight(smoothstep(0, 0.5, p));
  frame.place_x = as_place((0.5 - 0.5 * zoom) * (width - 1));
  frame.step_x = as_place(zoom * (width - 1) / width);
  frame.place_y = as_place((0.5 - 0.5 * zoom) * (height - 1));
  frame.step_y = as_place(zoom * (height - 1) / height);
}

}  // namespace

TransitionFrame prepare_transition(const TransitionRecord& record, float p, int plane, int width, int height) {
  TransitionFrame frame{};
  const int shift = plane ? 1 : 0;
  frame.formula = record.formula;
  frame.shift_x = frame.shift_y = shift;
  frame.unit_x = frame.unit_y = 2 << shift;
  frame.offset_x = frame.offset_y = shift;
  frame.luma_width = width;
  frame.luma_height = height;
  frame.amount = as_weight(p);
  frame.varies = (record.x ? VP_ACROSS : 0) | (record.y ? VP_DOWN : 0);
  frame.level = -1;
  switch (record.formula) {
    case VP_EVEN: break;
    case VP_EDGE: prepare_edge(frame, record, p, width, height); break;
    case VP_SMOOTH: prepare_soft(frame, record, p, width, height); break;
    case VP_MIDDLE: prepare_middle(frame, record, p, width, height); break;
    case VP_DIAGONAL:
      frame.base = on_line(1 - 2.0 * p);
      frame.scale = std::llround(std::ldexp(1.0, 40) / (4.0 * width * height));
      set_sides(frame, record, 2 * (width - 1), 2 * (height - 1));
      frame.opposite = 1;
      break;
    case VP_SLICE: prepare_slice(frame, record, p, width, height); break;
    case VP_WIND:
      prepare_wind(frame, record, p, width, height);
      frame.varies = VP_ACROSS | VP_DOWN;
      break;
    case VP_DISSOLVE:
      frame.limit = static_cast<int32_t>(std::ceil((1 - static_cast<double>(p)) * 65536));
      frame.varies = VP_ACROSS | VP_DOWN;
      break;
    case VP_DISC:
    case VP_CIRCLE:
    case VP_RADIAL:
      prepare_round(frame, record, p, width, height);
      frame.varies = VP_ACROSS | VP_DOWN;
      break;
    case VP_DISTANCE:
      frame.limit = static_cast<int32_t>(std::floor(256 * 255.0 * 255.0 * p * p * (1 + 1e-6)));
      break;
    case VP_THROUGH: prepare_through(frame, record, p); break;
    case VP_BY_DIFFERENCE: prepare_table(frame, record, p); break;
    case VP_BLUR: frame.size = 1 + whole(width / 2, p <= 0.5f ? p * 2 : (1 - p) * 2); break;
    case VP_SPANS: prepare_spans(frame, record, p, width, height); break;
    case VP_SQUEEZE: prepare_squeeze(frame, record, p, width, height); break;
    case VP_ZOOM: prepare_zoom(frame, p, width, height); break;
    case VP_BLOCKS: {
      const float part = std::ceil(std::min(p, 1 - p) * 50.0f) / 50.0f;
      frame.scale = as_place(2.0f * part * static_cast<float>(std::min(width, height)) / 20.0f);
      break;
    }
  }
  if ((record.formula == VP_EDGE || record.formula == VP_DISC) && record.option == kCrop) {
    frame.level = plane ? kNeutral : kBlackLuma;
    frame.shown = p < 0.5f ? 1 : 0;
  }
  return frame;
}

void make_noise(const TransitionRecord& record, int width, int height, std::vector<int32_t>& noise) {
  noise.resize(record.formula != VP_WIND ? 0 : record.x ? height : width);
  const float frequency = record.x ? 78.233f : 12.9898f;
  for (size_t line = 0; line < noise.size(); ++line) {
    const float angle = static_cast<float>(line) * frequency;
    const float value = static_cast<float>(std::sin(static_cast<double>(angle))) * 43758.545f;
    noise[line] = on_line(value - std::floor(value));
  }
}

void transition(const TransitionRecord& record, float progress, const ConstPlane (&first)[3],
                const ConstPlane (&second)[3], const Plane (&target)[3]) {
  thread_local std::vector<int32_t> noise, scratch;
  const int width = target[0].width, height = target[0].height;
  make_noise(record, width, height, noise);
  scratch.resize(2 * (static_cast<size_t>(width) + 1));
  TransitionPlane planes{};
  for (int index = 0; index < 3; ++index) {
    planes.first[index] = first[index].data;
    planes.first_stride[index] = first[index].stride;
    planes.second[index] = second[index].data;
    planes.second_stride[index] = second[index].stride;
  }
  planes.noise = noise.data();
  planes.scratch = scratch.data();
  for (int index = 0; index < 3; ++index) {
    planes.plane = index;
    planes.width = target[index].width;
    planes.height = target[index].height;
    const TransitionFrame frame = prepare_transition(record, progress, index, width, height);
    rows().transition(frame, planes, 0, planes.height, target[index].data, target[index].stride);
  }
}

}  // namespace vp
