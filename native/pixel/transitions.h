// The transitions' parameters and shared definitions for formulas in integer arithmetic, pixel by pixel.
//
// Progress runs from 1 (only the first picture) to 0. A chroma sample is the mean of the formula over the luma pixels
// that it covers; if the formula has no hard edge, it is evaluated once at their centre. Places (positions) are in half
// luma pixels if that centre matters, otherwise in luma pixels.
#pragma once

#include "pixel/fixed.h"

#define VP_WEIGHT_BITS 14
#define VP_WEIGHT_ONE 16384  // weight of the first picture when only it shows
#define VP_LINE_BITS 28      // fraction bits of a linear function of place, before it is clamped to 0 to 1

enum TransitionFormula {
  VP_EVEN = 0,  // one weight for the whole plane
  VP_EDGE,      // a rectangle of the first picture
  VP_SMOOTH,    // a soft edge that moves horizontally or vertically
  VP_MIDDLE,    // two soft edges that move from or to the centre
  VP_DIAGONAL,  // a soft edge around a corner
  VP_SLICE,     // ten bands open one after another
  VP_WIND,      // a soft edge whose position differs from line to line
  VP_DISSOLVE,  // pixels change one by one in pseudo-random order
  VP_DISC,      // a disc of the first picture
  VP_CIRCLE,    // a soft circle around the centre
  VP_RADIAL,    // a soft edge that rotates about the centre
  VP_DISTANCE,  // depends on the colour distance of the two pictures
  VP_THROUGH,   // fades through a level
  VP_BY_DIFFERENCE,   // depends on the difference of each value
  VP_BLUR,      // means over neighbouring pixels
  VP_SPANS,     // two parts, each from one picture and shifted
  VP_SQUEEZE,   // the first picture squeezed
  VP_ZOOM,      // the first picture enlarged
  VP_BLOCKS     // blocks (pixelize)
};

#define VP_ACROSS 1  // the weight varies from column to column
#define VP_DOWN 2    // the weight varies from row to row

// Parameters of one frame of a transition on one plane; made by prepare_transition.
struct TransitionFrame {
  int32_t formula;
  int32_t varies;   // VP_ACROSS | VP_DOWN
  int32_t amount;   // one weight for the whole plane
  int32_t opposite; // 1: the formula gives the second picture's weight
  int32_t level;    // -1, or a level that replaces one picture
  int32_t shown;    // the picture that is shown with the level: 0 or 1

  // The plane's grid: sample x covers luma pixels from x << shift_x; its centre is x * unit_x + offset_x half pixels.
  int32_t shift_x, shift_y, unit_x, offset_x, unit_y, offset_y;
  int32_t luma_width, luma_height;

  int32_t base, slope_x, slope_y;           // a linear function of place, VP_LINE_BITS
  int32_t centre_x, centre_y;               // half pixels
  int32_t start_x, sign_x, start_y, sign_y; // start + sign * place: places measured from either side
  int32_t low_x, high_x, low_y, high_y;     // luma pixels, half open
  int32_t limit;                            // a threshold
  int32_t size;                             // luma pixels
  int32_t split, near_picture, near_shift, far_picture, far_shift;
  int32_t first_share, second_share, constant;
  int64_t scale;                            // of blocks, 32 fraction bits; of the diagonal, 40
  int64_t place_x, place_y, step_x, step_y; // 32 fraction bits
  int16_t by_difference[512];               // the first picture's contribution, indexed by first - second + 255
};

// The planes that one plane of a frame is drawn from; luma and chroma planes if the formula needs all three.
struct TransitionPlane {
  int32_t plane;          // 0 to 2: Y, U, V
  int32_t width, height;  // of this plane
  const uint8_t* first[3];
  const uint8_t* second[3];
  int64_t first_stride[3];
  int64_t second_stride[3];
  const int32_t* noise;  // 0 to 1 for each line, VP_LINE_BITS: for rows if a wind blows horizontally, else columns
  int32_t* scratch;      // room for 2 * (luma width + 1) numbers
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
