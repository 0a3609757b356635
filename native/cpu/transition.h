// The transitions between two pictures in planar 4:2:0, by name.
#pragma once

#include <string_view>

#include "cpu/resample.h"
#include "pixel/transitions.h"

namespace vp {

// One transition: a formula and how it is turned. `x` is -1 towards the left, 1 towards the right, `y` -1 up, 1 down.
struct TransitionRecord {
  const char* name;
  const char* description;
  TransitionFormula formula;
  int x, y;
  int option;  // what it means is the formula's own; see transition.cpp
};

constexpr int kTransitions = 58;
constexpr int kMaxTransitionSize = 16384;  // pixels of luma, across and down

extern const TransitionRecord kTransitionRecords[kTransitions];

// The record of a name, or null.
const TransitionRecord* find_transition(std::string_view name);

// What the formula needs to know on plane 0 to 2 of a picture of this size. Progress is a float, as in FFmpeg's xfade,
// so that thresholds fall on the same pixels.
TransitionFrame prepare_transition(const TransitionRecord& record, float progress, int plane, int luma_width,
                                   int luma_height);

// Draw all three planes. The pictures are of one size; the target is neither of them.
void transition(const TransitionRecord& record, float progress, const ConstPlane (&first)[3],
                const ConstPlane (&second)[3], const Plane (&target)[3]);

}  // namespace vp
