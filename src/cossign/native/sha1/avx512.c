/* 16 lanes: AVX-512's rotation, three-input logic and byte shuffle. */
#include "sha1.h"

#ifdef ENGINES_X86
#include "x86.h"

#define LANES 16
#define SIGN sha1_sign_avx512
#define LAY frame_lay_avx512
#ifndef SIDE_BY_SIDE /* bench/order.py tries without */
#define SIDE_BY_SIDE 1
#endif
#ifdef SHA1_SPLIT /* tests: the same source for a CPU without AVX-512; the compiler splits the vectors */
#define TARGET __attribute__((target("avx2")))
#define EACH(x, test)                                 \
    ({                                                \
        const bytes all = (bytes)(x);                 \
        uint64_t mask = 0;                            \
        for (int place = 0; place < WIDTH; place++) { \
            uint8_t byte = all[place];                \
            mask |= (uint64_t)(test) << place;        \
        }                                             \
        mask;                                         \
    })
#define EQUAL(x, character) EACH(x, byte == (character))
#define RANGE(x, first, count) EACH(x, (uint8_t)(byte - (first)) < (count))
#define UNSAFE(x) \
    EACH(x, !((byte & 0x80 ? 0 : (const uint8_t[]){SAFE_LOW}[byte & 15]) & (const uint8_t[]){SAFE_HIGH}[byte >> 4]))
#define PICK(table, x) ((scan_bytes)_mm_shuffle_epi8((__m128i)(table), (__m128i)(x)))
#define LOAD(p, wanted)                                             \
    ({                                                              \
        bytes loaded = {0};                                         \
        for (int place = 0; place < WIDTH; place++) {               \
            loaded[place] = (wanted) >> place & 1 ? (p)[place] : 0; \
        }                                                           \
        loaded;                                                     \
    })
#define FOUR_PARTS(p0, p1, p2, p3)                                     \
    ({                                                                 \
        const uint8_t *const places[] = {p0, p1, p2, p3};              \
        vec parts;                                                     \
        for (int place = 0; place < 4; place++) {                      \
            memcpy((uint8_t *)&parts + 16 * place, places[place], 16); \
        }                                                              \
        parts;                                                         \
    })
#else
#define TARGET __attribute__((target("avx512f,avx512bw")))
#define TERNARY(x, y, z, table) ((vec)_mm512_ternarylogic_epi32((__m512i)(x), (__m512i)(y), (__m512i)(z), table))
#define ROL(x, n) ((vec)_mm512_rol_epi32((__m512i)(x), n))
#define ROL1(x) ROL(x, 1)
#define XOR3(x, y, z) TERNARY(x, y, z, 0x96)
#define CH(b, c, d) TERNARY(b, c, d, 0xca)
#define MAJ(b, c, d) TERNARY(b, c, d, 0xe8)
#define LOOKUP(x, ...) _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_setr_epi8(__VA_ARGS__)), (__m512i)(x))
#define BYTESWAP(x)            \
    ((vec)_mm512_shuffle_epi8( \
        (__m512i)(x), _mm512_broadcast_i32x4(_mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12))))
#define HEX_DIGITS(x) ((vec)LOOKUP(x, '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'))
#define SPLAT(byte) _mm512_set1_epi8((char)(byte))
#define EQUAL(x, character) _mm512_cmpeq_epi8_mask((__m512i)(x), SPLAT(character))
#define RANGE(x, first, count) _mm512_cmplt_epu8_mask(_mm512_sub_epi8((__m512i)(x), SPLAT(first)), SPLAT(count))
#define UNSAFE(x) _mm512_testn_epi8_mask(LOOKUP(x, SAFE_LOW), LOOKUP((x) >> 4, SAFE_HIGH))
#define PICK(table, x) ((scan_bytes)_mm_shuffle_epi8((__m128i)(table), (__m128i)(x)))
#define LOAD(p, mask) ((bytes)_mm512_maskz_loadu_epi8(mask, p))
#define FOUR_PARTS(p0, p1, p2, p3)                                                                              \
    ((vec)_mm512_mask_broadcast_i32x4(                                                                          \
        _mm512_mask_broadcast_i32x4(                                                                            \
            _mm512_mask_broadcast_i32x4(_mm512_castsi128_si512(PART(p0)), 0x00f0, PART(p1)), 0x0f00, PART(p2)), \
        0xf000, PART(p3)))
#define PART(p) _mm_loadu_si128((const __m128i *)(const void *)(p))
#define ANY(x) (_mm512_test_epi32_mask((__m512i)(x), (__m512i)(x)) != 0)
#define PIN(x) __asm__("" : "+v"(x))
#endif
#include "lanes.h"
#include "../text/lay.h"
#else
typedef int sha1_no_avx512;
#endif
