#define VP_TARGET "baseline"
#define VP_TABLE baseline_rows
#include "cpu/target.inl"
