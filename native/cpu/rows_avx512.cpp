#define VP_TARGET "avx512"
#define VP_TABLE avx512_rows
#include "cpu/target.inl"
