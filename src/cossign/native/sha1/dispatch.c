/* Which engine runs, and which rows go through its lanes together. */
#include "engine.h"

#ifdef ENGINES_X86
#include <cpuid.h>

/* SHA-NI with the SSSE3 and SSE4.1 that its code uses; __builtin_cpu_supports does not know "sha" before GCC 14. */
static int has_shani(void)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & 1u << 29) && __builtin_cpu_supports("ssse3")
           && __builtin_cpu_supports("sse4.1");
}
#endif

#ifdef ENGINES_ARM
#if defined(__linux__)
#include <sys/auxv.h>
static int has_armv8(void)
{
    return (getauxval(AT_HWCAP) & 1ul << 5) != 0; /* HWCAP_SHA1 */
}
#else
static int has_armv8(void)
{
#ifdef __APPLE__
    return 1;
#else
    return 0;
#endif
}
#endif
#endif

size_t sha1_engines(sha1_engine engines[SHA1_ENGINES])
{
    size_t count = 0;
    sha1_engine stream = {"portable", 1, sha1_sign_portable, sha1_sign_portable, 0, sha1_compress_portable, NULL};
#ifdef ENGINES_X86
    __builtin_cpu_init();
    int shani = has_shani();
    sha1_signer *rest = shani ? sha1_sign_shani : sha1_sign_portable;
    sha1_compressor *compress = shani ? sha1_compress_shani : sha1_compress_portable;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")) {
        engines[count++] =
            (sha1_engine){"avx512", 16, sha1_sign_avx512, rest, shani ? 6 : 2, compress, frame_lay_avx512};
    }
    if (__builtin_cpu_supports("avx2")) {
        engines[count++] = (sha1_engine){"avx2", 8, sha1_sign_avx2, rest, shani ? 4 : 1, compress, frame_lay_avx2};
    }
    if (shani) {
        engines[count++] = (sha1_engine){"shani", 1, sha1_sign_shani, sha1_sign_shani, 0, compress, frame_lay_sse2};
    }
    engines[count++] = (sha1_engine){"sse2", 4, sha1_sign_sse2, rest, shani ? 4 : 1, compress, frame_lay_sse2};
#endif
#ifdef ENGINES_ARM
    int armv8 = has_armv8();
    if (armv8) {
        engines[count++] =
            (sha1_engine){"armv8", 1, sha1_sign_armv8, sha1_sign_armv8, 0, sha1_compress_armv8, frame_lay_neon};
    }
    engines[count++] = (sha1_engine){"neon", 4, sha1_sign_neon, armv8 ? sha1_sign_armv8 : sha1_sign_portable, 1,
        armv8 ? sha1_compress_armv8 : sha1_compress_portable, frame_lay_neon};
#endif
    engines[count++] = stream;
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
