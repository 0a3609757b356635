// Rows of the transitions, with the formulas of pixel/transitions.h. Columns are drawn kColumns at a time, so that
// values that are equal in all rows are computed once.
#include "cpu/vector.inl"

namespace vp {
namespace {

constexpr int kColumns = 1024;

struct Rectangle {
  int left, columns, top, rows;  // in the plane; target points at its first row
  uint8_t* target;
  ptrdiff_t stride;
};

// vp_mix of two rows, with a weight for each column or (kOne) the same weight for all.
template <bool kOne>
void mix_columns(uint8_t* target, const uint8_t* first, const uint8_t* second, const int16_t* weights, int count) {
#if defined(VP_VECTOR)
  constexpr int kWords = VP_VECTOR / 2;
  const auto draw = [&](int at) {
    Vector halves[2];
    for (int half = 0; half < 2; ++half) {
      const int x = at + half * kWords;
      const Vector weight = kOne ? words(weights[0]) : load(weights + x);
      const Vector to = load_words(second + x);
      halves[half] = add(to, share_of(subtract(load_words(first + x), to), weight));
    }
    store(target + at, pack_in_order(halves[0], halves[1]));
  };
  if (count >= VP_VECTOR) {
    for (int x = 0; x + VP_VECTOR <= count; x += VP_VECTOR) draw(x);
    // The last vector redraws some columns of the one before.
    if (count % VP_VECTOR) draw(count - VP_VECTOR);
    return;
  }
#endif
  for (int x = 0; x < count; ++x) {
    target[x] = static_cast<uint8_t>(vp_mix(first[x], second[x], weights[kOne ? 0 : x]));
  }
}

inline void mix_row(uint8_t* target, const uint8_t* first, const uint8_t* second, const int16_t* weights, int count) {
  mix_columns<false>(target, first, second, weights, count);
}

inline void mix_even_row(uint8_t* target, const uint8_t* first, const uint8_t* second, int32_t weight, int count) {
  if (weight == VP_WEIGHT_ONE) {
    __builtin_memcpy(target, first, count);
  } else if (weight == 0) {
    __builtin_memcpy(target, second, count);
  } else {
    const auto one = static_cast<int16_t>(weight);
    mix_columns<true>(target, first, second, &one, count);
  }
}

inline void mix_with_level_row(uint8_t* target, const uint8_t* picture, int32_t level, const int16_t* weights,
                               int count) {
  for (int x = 0; x < count; ++x) target[x] = static_cast<uint8_t>(vp_mix(picture[x], level, weights[x]));
}

// -- weights --------------------------------------------------------------------------------------

template <int kAcross, int kShift>
void fill_wind(const TransitionFrame& frame, const TransitionPlane& plane, int left, int row, int count,
               int16_t* weights) {
  for (int x = 0; x < count; ++x) {
    const int32_t weight = vp_weight_wind(&frame, &plane, left + x, row, kAcross, kShift);
    weights[x] = static_cast<int16_t>(VP_WEIGHT_ONE - weight);
  }
}

template <int kFormula>
void fill_weights(const TransitionFrame& frame, const TransitionPlane& plane, int left, int row, int count,
                  const int32_t* reciprocals, int16_t* weights) {
  if constexpr (kFormula == VP_CIRCLE || kFormula == VP_RADIAL) {
    const int32_t down = vp_middle_y(&frame, row) - frame.centre_y;
    const int32_t of_down = vp_reciprocal(down);
    const int32_t sign = frame.opposite ? -1 : 1, start = frame.opposite ? VP_WEIGHT_ONE : 0;
    for (int x = 0; x < count; ++x) {
      const int32_t across = vp_middle_x(&frame, left + x) - frame.centre_x;
      const int32_t weight = kFormula == VP_CIRCLE
                                 ? vp_weight_circle(&frame, across, down, reciprocals[x], of_down)
                                 : vp_weight_radial(&frame, across, down, reciprocals[x], of_down);
      weights[x] = static_cast<int16_t>(start + sign * weight);
    }
  } else if constexpr (kFormula == VP_WIND) {
    const auto fill = frame.slope_x ? (frame.shift_x ? fill_wind<1, 1> : fill_wind<1, 0>)
                                    : (frame.shift_x ? fill_wind<0, 1> : fill_wind<0, 0>);
    fill(frame, plane, left, row, count, weights);
  } else if ((kFormula == VP_DISSOLVE || kFormula == VP_DISC) && frame.shift_x == 0) {
    // A luma sample covers one pixel.
    for (int x = 0; x < count; ++x) {
      const bool shown = kFormula == VP_DISC ? vp_in_disc(&frame, left + x, row)
                                             : vp_chance(left + x, row) >= frame.limit;
      weights[x] = static_cast<int16_t>(shown != frame.opposite ? VP_WEIGHT_ONE : 0);
    }
  } else {
    for (int x = 0; x < count; ++x) {
      weights[x] = static_cast<int16_t>(vp_weight(kFormula, &frame, &plane, left + x, row));
    }
  }
}

template <int kFormula>
void weighted(const TransitionFrame& frame, const TransitionPlane& plane, const Rectangle& part) {
  alignas(64) int16_t weights[kColumns];
  alignas(64) int32_t reciprocals[kColumns];
  if (kFormula == VP_CIRCLE || kFormula == VP_RADIAL) {
    for (int x = 0; x < part.columns; ++x) {
      reciprocals[x] = vp_reciprocal(vp_middle_x(&frame, part.left + x) - frame.centre_x);
    }
  }
  if (!(frame.varies & VP_DOWN)) fill_weights<kFormula>(frame, plane, part.left, 0, part.columns, reciprocals, weights);
  for (int row = 0; row < part.rows; ++row) {
    const int y = part.top + row;
    const uint8_t* first = vp_line(&plane, 0, plane.plane, y) + part.left;
    const uint8_t* second = vp_line(&plane, 1, plane.plane, y) + part.left;
    uint8_t* target = part.target + row * part.stride + part.left;
    if (!(frame.varies & VP_ACROSS)) {
      mix_even_row(target, first, second, vp_weight(kFormula, &frame, &plane, part.left, y), part.columns);
      continue;
    }
    if (frame.varies & VP_DOWN) {
      fill_weights<kFormula>(frame, plane, part.left, y, part.columns, reciprocals, weights);
    }
    if (frame.level >= 0) {
      mix_with_level_row(target, frame.shown ? second : first, frame.level, weights, part.columns);
    } else {
      mix_row(target, first, second, weights, part.columns);
    }
  }
}

// -- values ---------------------------------------------------------------------------------------

void through(const TransitionFrame& frame, const TransitionPlane& plane, const Rectangle& part) {
  for (int row = 0; row < part.rows; ++row) {
    const uint8_t* first = vp_line(&plane, 0, plane.plane, part.top + row) + part.left;
    const uint8_t* second = vp_line(&plane, 1, plane.plane, part.top + row) + part.left;
    uint8_t* target = part.target + row * part.stride + part.left;
    for (int x = 0; x < part.columns; ++x) {
      target[x] = static_cast<uint8_t>(vp_through(&frame, first[x], second[x]));
    }
  }
}

void by_difference(const TransitionFrame& frame, const TransitionPlane& plane, const Rectangle& part) {
  for (int row = 0; row < part.rows; ++row) {
    const uint8_t* first = vp_line(&plane, 0, plane.plane, part.top + row) + part.left;
    const uint8_t* second = vp_line(&plane, 1, plane.plane, part.top + row) + part.left;
    uint8_t* target = part.target + row * part.stride + part.left;
    for (int x = 0; x < part.columns; ++x) {
      target[x] = static_cast<uint8_t>(vp_by_difference(&frame, first[x], second[x]));
    }
  }
}

// The pictures' difference in a chroma plane on a luma row, for samples start - 2 to start + count + 1.
void chroma_differences(const TransitionFrame& frame, const TransitionPlane& plane, int index, int luma_row, int start,
                        int count, int16_t* differences) {
  const int last_row = (frame.luma_height - 1) / 2, last_column = (frame.luma_width - 1) / 2;
  const int row = luma_row / 2, towards = luma_row % 2 ? 1 : -1;
  const uint8_t* first[4];
  const uint8_t* second[4];
  for (int tap = 0; tap < 4; ++tap) {
    const int at = vp_clamp(row + (tap - 1) * towards, 0, last_row);
    first[tap] = vp_line(&plane, 0, index, at);
    second[tap] = vp_line(&plane, 1, index, at);
  }
  const auto at = [&](int x) {
    return static_cast<int16_t>(vp_chroma_near(first[0][x] - second[0][x], first[1][x] - second[1][x],
                                               first[2][x] - second[2][x], first[3][x] - second[3][x]));
  };
  for (int x = 0; x < 2; ++x) {
    differences[x] = at(vp_max(start + x - 2, 0));
    differences[2 + count + x] = at(vp_min(start + count + x, last_column));
  }
  for (int x = 0; x < count; ++x) differences[2 + x] = at(start + x);
}

// For the luma pixels of `count` chroma samples, from 2 * start: 1 if the pictures are close to each other.
void near_row(const TransitionFrame& frame, const TransitionPlane& plane, int luma_row, int start, int count,
              int16_t* near) {
  alignas(64) int16_t u[kColumns + 4], v[kColumns + 4];
  alignas(64) int16_t luma[2 * kColumns];
  chroma_differences(frame, plane, 1, luma_row, start, count, u);
  chroma_differences(frame, plane, 2, luma_row, start, count, v);
  const uint8_t* first = vp_line(&plane, 0, 0, luma_row) + 2 * start;
  const uint8_t* second = vp_line(&plane, 1, 0, luma_row) + 2 * start;
  const int pixels = vp_min(2 * count, frame.luma_width - 2 * start);
  for (int x = 0; x < pixels; ++x) luma[x] = static_cast<int16_t>(first[x] - second[x]);
  if (pixels < 2 * count) luma[pixels] = 0;
  for (int x = 0; x < count; ++x) {
    near[2 * x] = static_cast<int16_t>(vp_is_near(&frame, luma[2 * x],
                                                  vp_chroma_nearer(u[x + 3], u[x + 2], u[x + 1], u[x]),
                                                  vp_chroma_nearer(v[x + 3], v[x + 2], v[x + 1], v[x])));
    near[2 * x + 1] = static_cast<int16_t>(vp_is_near(&frame, luma[2 * x + 1],
                                                      vp_chroma_nearer(u[x + 1], u[x + 2], u[x + 3], u[x + 4]),
                                                      vp_chroma_nearer(v[x + 1], v[x + 2], v[x + 3], v[x + 4])));
  }
  if (pixels < 2 * count) near[pixels] = near[pixels - 1];
}

void distance(const TransitionFrame& frame, const TransitionPlane& plane, const Rectangle& part) {
  alignas(64) int16_t near[2 * kColumns], below[2 * kColumns], weights[kColumns];
  for (int row = 0; row < part.rows; ++row) {
    const int y = part.top + row;
    if (plane.plane == 0) {
      near_row(frame, plane, y, part.left / 2, (part.columns + 1) / 2, near);
      for (int x = 0; x < part.columns; ++x) weights[x] = static_cast<int16_t>(near[x] * frame.amount);
    } else {
      near_row(frame, plane, 2 * y, part.left, part.columns, near);
      near_row(frame, plane, vp_last_y(&frame, y), part.left, part.columns, below);
      for (int x = 0; x < part.columns; ++x) {
        const int32_t share = near[2 * x] + near[2 * x + 1] + below[2 * x] + below[2 * x + 1];
        weights[x] = static_cast<int16_t>((share * frame.amount) >> 2);
      }
    }
    mix_row(part.target + row * part.stride + part.left, vp_line(&plane, 0, plane.plane, y) + part.left,
            vp_line(&plane, 1, plane.plane, y) + part.left, weights, part.columns);
  }
}

// Whole rows: prefix sums of the mix over luma pixels, whose differences give the means. In a chroma row each
// sample counts for the luma pixels that it covers.
template <int kShift>
void blur(const TransitionFrame& frame, const TransitionPlane& plane, const Rectangle& part) {
  const int width = frame.luma_width, size = frame.size;
  const int32_t amount = frame.amount;
  int32_t* sums = plane.scratch;
  int32_t* shares = plane.scratch + width + 1;
  for (int x = 0; x < width; ++x) shares[x] = vp_share(vp_min(size, width - x));
  const int32_t share = shares[0];
  const int steady = vp_max(width - size, 0);
  for (int row = 0; row < part.rows; ++row) {
    const uint8_t* first = vp_line(&plane, 0, plane.plane, part.top + row);
    const uint8_t* second = vp_line(&plane, 1, plane.plane, part.top + row);
    uint8_t* target = part.target + row * part.stride;
    int32_t sum = 0;
    for (int left = 0; left < plane.width; left += kColumns) {
      alignas(64) int32_t mixed[kColumns];
      const int columns = vp_min(kColumns, plane.width - left);
      for (int x = 0; x < columns; ++x) mixed[x] = vp_mix_fine(first[left + x], second[left + x], amount);
      int32_t* to = sums + (left << kShift);
      const int pixels = vp_min(columns << kShift, width - (left << kShift));
      for (int x = 0; x < pixels; ++x) {
        to[x] = sum;
        sum += mixed[x >> kShift];
      }
    }
    sums[width] = sum;
    for (int x = 0; x < steady; ++x) sums[x] = vp_mean(sums[x + size] - sums[x], share);
    for (int x = steady; x < width; ++x) sums[x] = vp_mean(sum - sums[x], shares[x]);
    if (kShift == 0) {
      for (int x = 0; x < width; ++x) target[x] = static_cast<uint8_t>(sums[x]);
    } else {
      for (int x = 0; x < width / 2; ++x) target[x] = static_cast<uint8_t>((sums[2 * x] + sums[2 * x + 1] + 1) >> 1);
      if (width % 2) target[width / 2] = static_cast<uint8_t>(sums[width - 1]);
    }
  }
}

// -- places ---------------------------------------------------------------------------------------

// A row of samples from two rows of one or two pictures (luma: from one row).
inline void mean_row(uint8_t* target, const uint8_t* one, const uint8_t* two, int count) {
  if (one == two) {
    __builtin_memcpy(target, one, count);
  } else {
    for (int x = 0; x < count; ++x) target[x] = static_cast<uint8_t>((one[x] + two[x] + 1) >> 1);
  }
}

// Slide, cover, reveal and squeeze when whole rows move.
void moved_down(const TransitionFrame& frame, const TransitionPlane& plane, const Rectangle& part) {
  for (int row = 0; row < part.rows; ++row) {
    const int y = part.top + row;
    const int32_t one = vp_moved_place(&frame, y << frame.shift_y, 0);
    const int32_t two = vp_moved_place(&frame, vp_last_y(&frame, y), 0);
    mean_row(part.target + row * part.stride + part.left,
             vp_line(&plane, one & 1, plane.plane, (one >> 1) >> frame.shift_y) + part.left,
             vp_line(&plane, two & 1, plane.plane, (two >> 1) >> frame.shift_y) + part.left, part.columns);
  }
}

// The same when whole columns move: runs that stay contiguous are copied, other pixels are read one by one.
void moved_across(const TransitionFrame& frame, const TransitionPlane& plane, const Rectangle& part) {
  int32_t ones[kColumns + 1], twos[kColumns + 1];
  for (int x = 0; x < part.columns; ++x) {
    const int32_t one = vp_moved_place(&frame, (part.left + x) << frame.shift_x, 1);
    const int32_t two = vp_moved_place(&frame, vp_last_x(&frame, part.left + x), 1);
    ones[x] = vp_packed((one >> 1) >> frame.shift_x, one & 1);
    twos[x] = vp_packed((two >> 1) >> frame.shift_x, two & 1);
  }
  for (int start = 0; start < part.columns;) {
    int stop = start + 1;
    while (stop < part.columns && ones[stop] == ones[stop - 1] + 2 && twos[stop] == twos[stop - 1] + 2) ++stop;
    const bool run = stop - start >= 16;
    if (!run) {  // up to the next run
      stop = start + 1;
      int straight = 1;
      while (stop < part.columns && straight < 16) {
        straight = ones[stop] == ones[stop - 1] + 2 && twos[stop] == twos[stop - 1] + 2 ? straight + 1 : 1;
        ++stop;
      }
      if (straight >= 16) stop -= straight;
    }
    for (int row = 0; row < part.rows; ++row) {
      const uint8_t* lines[2] = {vp_line(&plane, 0, plane.plane, part.top + row),
                                 vp_line(&plane, 1, plane.plane, part.top + row)};
      uint8_t* target = part.target + row * part.stride + part.left;
      if (run) {
        mean_row(target + start, lines[ones[start] & 1] + (ones[start] >> 1),
                 lines[twos[start] & 1] + (twos[start] >> 1), stop - start);
      } else {
        for (int x = start; x < stop; ++x) {
          target[x] = static_cast<uint8_t>(
              (lines[ones[x] & 1][ones[x] >> 1] + lines[twos[x] & 1][twos[x] >> 1] + 1) >> 1);
        }
      }
    }
    start = stop;
  }
}

void moved(const TransitionFrame& frame, const TransitionPlane& plane, const Rectangle& part) {
  if (frame.varies & VP_ACROSS) {
    moved_across(frame, plane, part);
  } else {
    moved_down(frame, plane, part);
  }
}

void zoom(const TransitionFrame& frame, const TransitionPlane& plane, const Rectangle& part) {
  int32_t places[kColumns];
  uint8_t enlarged[kColumns];
  for (int x = 0; x < part.columns; ++x) {
    const int32_t one = (part.left + x) << frame.shift_x;
    places[x] = frame.shift_x ? vp_zoom_quarters(frame.place_x, frame.step_x, one, vp_last_x(&frame, part.left + x),
                                                 frame.luma_width, plane.width)
                              : vp_zoom_place(frame.place_x, frame.step_x, one, frame.luma_width);
  }
  int made = -1;  // the row's position in `enlarged`
  for (int row = 0; row < part.rows; ++row) {
    const int y = part.top + row;
    const int32_t one = y << frame.shift_y;
    const int32_t place = frame.shift_y
                              ? vp_zoom_quarters(frame.place_y, frame.step_y, one, vp_last_y(&frame, y),
                                                 frame.luma_height, plane.height)
                              : vp_zoom_place(frame.place_y, frame.step_y, one, frame.luma_height);
    if (place != made) {
      made = place;
      if (frame.shift_x) {
        const uint8_t* above = vp_line(&plane, 0, plane.plane, place >> 2);
        const uint8_t* below = vp_line(&plane, 0, plane.plane, vp_min((place >> 2) + 1, plane.height - 1));
        for (int x = 0; x < part.columns; ++x) {
          const int32_t at = places[x] >> 2;
          enlarged[x] = static_cast<uint8_t>(
              vp_between(above, below, at, vp_min(at + 1, plane.width - 1), places[x] & 3, place & 3));
        }
      } else {
        const uint8_t* line = vp_line(&plane, 0, plane.plane, place);
        for (int x = 0; x < part.columns; ++x) enlarged[x] = line[places[x]];
      }
    }
    mix_even_row(part.target + row * part.stride + part.left, enlarged,
                 vp_line(&plane, 1, plane.plane, y) + part.left, frame.amount, part.columns);
  }
}

void blocks(const TransitionFrame& frame, const TransitionPlane& plane, const Rectangle& part) {
  int32_t ones[kColumns], twos[kColumns];
  for (int x = 0; x < part.columns; ++x) {
    const int32_t one = (part.left + x) << frame.shift_x;
    ones[x] = vp_block_place(&frame, one, frame.luma_width) >> frame.shift_x;
    twos[x] = vp_block_place(&frame, vp_last_x(&frame, part.left + x), frame.luma_width) >> frame.shift_x;
  }
  int made_one = -1, made_two = -1;
  for (int row = 0; row < part.rows; ++row) {
    const int y = part.top + row;
    const int32_t one = vp_block_place(&frame, y << frame.shift_y, frame.luma_height) >> frame.shift_y;
    const int32_t two = vp_block_place(&frame, vp_last_y(&frame, y), frame.luma_height) >> frame.shift_y;
    uint8_t* target = part.target + row * part.stride + part.left;
    if (one == made_one && two == made_two) {
      __builtin_memcpy(target, target - part.stride, part.columns);
      continue;
    }
    made_one = one;
    made_two = two;
    const uint8_t* first[2] = {vp_line(&plane, 0, plane.plane, one), vp_line(&plane, 0, plane.plane, two)};
    const uint8_t* second[2] = {vp_line(&plane, 1, plane.plane, one), vp_line(&plane, 1, plane.plane, two)};
    for (int x = 0; x < part.columns; ++x) {
      const int32_t a = first[0][ones[x]] + first[0][twos[x]] + first[1][ones[x]] + first[1][twos[x]];
      const int32_t b = second[0][ones[x]] + second[0][twos[x]] + second[1][ones[x]] + second[1][twos[x]];
      target[x] = static_cast<uint8_t>((b * VP_WEIGHT_ONE + (a - b) * frame.amount + 2 * VP_WEIGHT_ONE) >>
                                       (VP_WEIGHT_BITS + 2));
    }
  }
}

// -------------------------------------------------------------------------------------------------

void transition_part(const TransitionFrame& frame, const TransitionPlane& plane, const Rectangle& part) {
  switch (frame.formula) {
    case VP_EVEN: weighted<VP_EVEN>(frame, plane, part); break;
    case VP_EDGE: weighted<VP_EDGE>(frame, plane, part); break;
    case VP_SMOOTH: weighted<VP_SMOOTH>(frame, plane, part); break;
    case VP_MIDDLE: weighted<VP_MIDDLE>(frame, plane, part); break;
    case VP_DIAGONAL: weighted<VP_DIAGONAL>(frame, plane, part); break;
    case VP_SLICE: weighted<VP_SLICE>(frame, plane, part); break;
    case VP_WIND: weighted<VP_WIND>(frame, plane, part); break;
    case VP_DISSOLVE: weighted<VP_DISSOLVE>(frame, plane, part); break;
    case VP_DISC: weighted<VP_DISC>(frame, plane, part); break;
    case VP_CIRCLE: weighted<VP_CIRCLE>(frame, plane, part); break;
    case VP_RADIAL: weighted<VP_RADIAL>(frame, plane, part); break;
    case VP_DISTANCE: distance(frame, plane, part); break;
    case VP_THROUGH: through(frame, plane, part); break;
    case VP_BY_DIFFERENCE: by_difference(frame, plane, part); break;
    case VP_SPANS:
    case VP_SQUEEZE: moved(frame, plane, part); break;
    case VP_ZOOM: zoom(frame, plane, part); break;
    case VP_BLOCKS: blocks(frame, plane, part); break;
    default: break;
  }
}

void transition_rows(const TransitionFrame& frame, const TransitionPlane& plane, int first_row, int rows,
                     uint8_t* target, ptrdiff_t stride) {
  if (frame.formula == VP_BLUR) {
    const Rectangle whole{0, plane.width, first_row, rows, target, stride};
    frame.shift_x ? blur<1>(frame, plane, whole) : blur<0>(frame, plane, whole);
    return;
  }
  for (int left = 0; left < plane.width; left += kColumns) {
    const int columns = vp_min(kColumns, plane.width - left);
    transition_part(frame, plane, Rectangle{left, columns, first_row, rows, target, stride});
  }
}

}  // namespace
}  // namespace vp
