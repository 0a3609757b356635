// The transitions, pixel by pixel, in whole numbers: what their formulas need to know, and the formulas by kind.
//
// Progress runs from 1 (the first picture alone) to 0. A chroma sample is the mean of its formula over the luma pixels
// that it covers; where the formula has no hard edge, it is taken once, in their middle. Places are counted in half
// pixels of luma where that middle matters, otherwise in pixels of luma.
#pragma once

#include "pixel/fixed.h"

#define VP_WEIGHT_BITS 14
#define VP_WEIGHT_ONE 16384  // the weight of the first picture where it stands alone
#define VP_LINE_BITS 28      // fraction bits of a value on a line, before it is cut to 0 to 1

enum TransitionFormula {
  VP_EVEN = 0,  // one weight for the whole plane
  VP_EDGE,      // a rectangle of the first picture
  VP_SMOOTH,    // a soft edge that moves across or down
  VP_MIDDLE,    // two soft edges that move from or to the middle
  VP_DIAGONAL,  // a soft edge around a corner
  VP_SLICE,     // ten bands that open one after another
  VP_WIND,      // a soft edge that lies elsewhere on each line
  VP_DISSOLVE,  // pixel by pixel
  VP_DISC,      // a disc of the first picture
  VP_CIRCLE,    // a soft edge around the middle
  VP_RADIAL,    // a soft edge that turns about the middle
  VP_DISTANCE,  // by how far the colours of the two pictures lie apart
  VP_THROUGH,   // through a level
  VP_BY_DIFFERENCE,   // by how far the values of the two pictures lie apart
  VP_BLUR,      // means of pixels that lie beside one another
  VP_SPANS,     // two parts, each from one picture, each moved
  VP_SQUEEZE,   // the first picture pressed flat
  VP_ZOOM,      // the first picture enlarged
  VP_BLOCKS     // large pixels
};

#define VP_ACROSS 1  // the weight differs from column to column
#define VP_DOWN 2    // the weight differs from row to row

// What one frame of a transition is on one plane; made by prepare_transition.
struct TransitionFrame {
  int32_t formula;
  int32_t varies;   // VP_ACROSS, VP_DOWN
  int32_t amount;   // a weight for the whole plane
  int32_t opposite; // 1: the formula gives the second picture's weight
  int32_t level;    // -1, or the level that stands where the first picture does not (of that only one is shown)
  int32_t shown;    // of the two pictures, that which is shown with a level: 0 or 1

  // The plane's grid: sample x covers luma pixels x << shift_x on; its middle is x * unit_x + offset_x half pixels.
  int32_t shift_x, shift_y, unit_x, offset_x, unit_y, offset_y;
  int32_t luma_width, luma_height;

  int32_t base, slope_x, slope_y;           // a line, VP_LINE_BITS
  int32_t centre_x, centre_y;               // half pixels
  int32_t start_x, sign_x, start_y, sign_y; // start + sign * place: places counted from either side
  int32_t low_x, high_x, low_y, high_y;     // pixels of luma, half open
  int32_t limit;                            // a threshold
  int32_t size;                             // pixels of luma
  int32_t split, near_picture, near_shift, far_picture, far_shift;
  int32_t first_share, second_share, constant;
  int64_t scale;                            // of blocks, 32 fraction bits; of the diagonal, 40
  int64_t place_x, place_y, step_x, step_y; // 32 fraction bits
  int16_t by_difference[512];               // what the first picture adds, by first - second + 255
};

// The planes that one plane of a frame is made of; planes of luma and chroma where the formula needs all three.
struct TransitionPlane {
  int32_t plane;          // 0 to 2: Y, U, V
  int32_t width, height;  // of this plane
  const uint8_t* first[3];
  const uint8_t* second[3];
  int64_t first_stride[3];
  int64_t second_stride[3];
  const int32_t* noise;  // numbers of lines in 0 to 1, VP_LINE_BITS: of rows where a wind blows across, else columns
  int32_t* scratch;      // 2 * (luma width + 1) numbers
};

VP_PIXEL int32_t vp_mix(int32_t first, int32_t second, int32_t weight) {
  return second + (((first - second) * weight + VP_WEIGHT_ONE / 2) >> VP_WEIGHT_BITS);
}

VP_PIXEL const uint8_t* vp_line(const TransitionPlane* plane, int32_t picture, int32_t index, int32_t row) {
  return picture ? plane->second[index] + plane->second_stride[index] * row
                 : plane->first[index] + plane->first_stride[index] * row;
}

#include "pixel/transition_places.h"
#include "pixel/transition_values.h"
#include "pixel/transition_weights.h"
