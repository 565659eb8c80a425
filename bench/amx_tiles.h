/* Included before each C++ source of llama.cpp that is built for the benchmarks.
 *
 * GCC before 11.5, 12.4, 13.3 and 14 says of _tile_loadconfig that it reads 8 of its 64 bytes (bug 114098), and drops
 * what sets the others: on processors with AMX, llama.cpp then ends with an illegal instruction. */
#if defined(__AMX_TILE__) && !defined(__clang__)
#include <immintrin.h>
#define _tile_loadconfig(config) __asm__ volatile("ldtilecfg\t%0" ::"m"(*(const char(*)[64])(config)))
#endif
