/* Which engine runs, and which rows go through its lanes together. */
#include "engine.h"

#if !defined(WIDE_VECTORS)
#pragma message("cossign: this compiler builds no vector engines. Clang, or GCC 12 or newer, builds them")
#endif

enum {
    SHANI = CPU_SSSE3 | CPU_SSE4_1 | CPU_SHA_NI,
#ifdef SHA1_SPLIT
    AVX512 = CPU_AVX2
#else
    AVX512 = CPU_AVX512F | CPU_AVX512BW
#endif
};

/* All that were compiled. Rows that would leave most lanes empty go one at a time, by SHA instructions if there are any:
   up to so many rows that this takes as long as filled lanes. */
static const sha1_engine all_engines[] = {
#ifdef ENGINES_X86
    {"avx512", AVX512, 16, sha1_sign_avx512, sha1_sign_shani, 6, sha1_compress_shani, frame_lay_avx512},
    {"avx2", CPU_AVX2, 8, sha1_sign_avx2, sha1_sign_shani, 4, sha1_compress_shani, frame_lay_avx2},
    {"shani", SHANI, 1, sha1_sign_shani, sha1_sign_shani, 0, sha1_compress_shani, frame_lay_sse2},
    {"sse2", 0, 4, sha1_sign_sse2, sha1_sign_shani, 4, sha1_compress_shani, frame_lay_sse2},
#endif
#ifdef ENGINE_ARMV8
    {"armv8", CPU_ARM_SHA1, 1, sha1_sign_armv8, sha1_sign_armv8, 0, sha1_compress_armv8, frame_lay_neon},
    {"neon", 0, 4, sha1_sign_neon, sha1_sign_armv8, 1, sha1_compress_armv8, frame_lay_neon},
#elif defined(ENGINES_ARM)
    {"neon", 0, 4, sha1_sign_neon, sha1_sign_portable, 1, sha1_compress_portable, frame_lay_neon},
#endif
    {"portable", 0, 1, sha1_sign_portable, sha1_sign_portable, 0, sha1_compress_portable, NULL}};

static_assert(sizeof all_engines <= sizeof(sha1_engine[SHA1_ENGINES]), "SHA1_ENGINES is too small");

size_t sha1_engines(sha1_engine engines[SHA1_ENGINES], uint32_t cpu)
{
    size_t count = 0;
    const int has_sha1 = (cpu & SHANI) == SHANI || (cpu & CPU_ARM_SHA1);
    for (size_t i = 0; i < sizeof all_engines / sizeof *all_engines; i++) {
        sha1_engine *engine = &engines[count];
        if (all_engines[i].needs & ~cpu) {
            continue;
        }
        *engine = all_engines[i];
        if (!has_sha1) {
            engine->rest = sha1_sign_portable;
            engine->compress = sha1_compress_portable;
            engine->few = engine->lanes > 8 ? 2 : engine->lanes > 1;
        }
        count++;
    }
    return count;
}

/* The rows in the order of their length, so that neighbours in the lanes have equally many blocks: a counting sort
   over at most 256 classes of length. Where most rows have one length, they are counted in a register: the counter of
   one class, in memory, would be a long chain of loads and stores. */
static void group(const sha1_row **order, const sha1_row *rows, size_t count)
{
    const size_t usual = rows[0].size == rows[count / 2].size ? rows[0].size : rows[count - 1].size;
    size_t least = usual, most = usual, shift = 0, usuals = 0, place;
    uint16_t starts[256 + 1] = {0};
    for (size_t i = 0; i < count; i++) {
        least = rows[i].size < least ? rows[i].size : least;
        most = rows[i].size > most ? rows[i].size : most;
    }
    if (least == most) {
        for (size_t i = 0; i < count; i++) {
            order[i] = &rows[i];
        }
        return;
    }
    while ((most - least) >> shift >= 256) {
        shift++;
    }
    for (size_t i = 0; i < count; i++) {
        if (rows[i].size == usual) {
            usuals++;
        } else {
            starts[((rows[i].size - least) >> shift) + 1]++;
        }
    }
    uint16_t *of_usual = &starts[(usual - least) >> shift];
    of_usual[1] = (uint16_t)(of_usual[1] + usuals);
    for (size_t i = 1; i <= (most - least) >> shift; i++) {
        starts[i] = (uint16_t)(starts[i] + starts[i - 1]);
    }
    place = *of_usual;
    *of_usual = (uint16_t)(place + usuals);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].size == usual) {
            order[place++] = &rows[i];
        } else {
            order[starts[(rows[i].size - least) >> shift]++] = &rows[i];
        }
    }
}

void sha1_sign(const sha1_engine *engine, const sha1_key *key, const sha1_row *rows, size_t count)
{
    const sha1_row *order[SHA1_TILE];
    while (count) {
        size_t part = count < SHA1_TILE ? count : SHA1_TILE;
        size_t rest = part % engine->lanes;
        if (rest > engine->few) {
            rest = 0;
        }
        group(order, rows, part);
        if (part > rest) {
            engine->sign(key, order, part - rest);
        }
        if (rest) {
            engine->rest(key, order + (part - rest), rest);
        }
        rows += part;
        count -= part;
    }
}
