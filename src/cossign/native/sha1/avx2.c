/* The "avx2" engine: 8 lanes. */
#include "sha1.h"

#ifdef ENGINES_X86
#include "x86.h"

#define LANES 8
#define SIGN sha1_sign_avx2
#define LAY frame_lay_avx2
#define TARGET __attribute__((target("avx2,tune=haswell")))
#define LOOKUP(x, ...) _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_setr_epi8(__VA_ARGS__)), (__m256i)(x))
#define BYTESWAP(x)                         \
    ((vec)_mm256_shuffle_epi8((__m256i)(x), \
        _mm256_broadcastsi128_si256(_mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12))))
#define HEX_DIGITS(x) ((vec)LOOKUP(x, '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'))
#define MASK(x) (uint32_t)_mm256_movemask_epi8((__m256i)(x))
#define EQUAL(x, character) MASK((x) == (character))
#define RANGE(x, first, count) MASK((x) - (first) < (count))
#define PICK(table, x) ((scan_bytes)_mm_shuffle_epi8((__m128i)(table), (__m128i)(x)))
#define UNSAFE(x) MASK((bytes)(LOOKUP(x, SAFE_LOW) & LOOKUP((x) >> 4, SAFE_HIGH)) == 0)
#define PIN(x) __asm__("" : "+x"(x))
#include "lanes.h"
#include "../text/lay.h"
#else
typedef int sha1_no_avx2;
#endif
