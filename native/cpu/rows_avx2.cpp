#define VP_TARGET "avx2"
#define VP_TABLE avx2_rows
#include "cpu/target.inl"
