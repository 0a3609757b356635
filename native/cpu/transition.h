// The transitions between two pictures in planar 4:2:0, by name.
#pragma once

#include <string_view>
#include <vector>

#include "cpu/resample.h"
#include "pixel/transitions.h"

namespace vp {

// One transition: a formula and its direction. `x` is -1 for left and 1 for right, `y` -1 for up and 1 for down.
struct TransitionRecord {
  const char* name;
  const char* description;
  TransitionFormula formula;
  int x, y;
  int option;  // its meaning depends on the formula; see transition.cpp
};

constexpr int kTransitions = 58;
constexpr int kMaxTransitionSize = 16384;  // pixels of luma, across and down

extern const TransitionRecord kTransitionRecords[kTransitions];

// Return the record with a name, or null.
const TransitionRecord* find_transition(std::string_view name);

// Return the formula's parameters for plane 0 to 2 of a picture of this size. Progress is a float, as in xfade,
// to put thresholds on the same pixels.
TransitionFrame prepare_transition(const TransitionRecord& record, float progress, int plane, int luma_width,
                                   int luma_height);

// Fill `noise` with xfade's number for each line of a wind: the fraction of a large multiple of its sine, in float. For
// other formulas it is emptied.
void make_noise(const TransitionRecord& record, int width, int height, std::vector<int32_t>& noise);

// Draw all three planes. The pictures have the same size; the target overlaps neither.
void transition(const TransitionRecord& record, float progress, const ConstPlane (&first)[3],
                const ConstPlane (&second)[3], const Plane (&target)[3]);

}  // namespace vp
