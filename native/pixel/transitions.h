// The transitions: placeholder of the interface.
#pragma once

#include "pixel/fixed.h"

struct TransitionFrame {
  int32_t id;
};
struct TransitionPlane {
  const uint8_t* first;
  const uint8_t* second;
};
