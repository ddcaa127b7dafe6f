/* The SHA-1 instructions of x86, two messages interleaved so that one's latency hides the other's. They are legacy SSE
   instructions: code of 256 bits must not run between them (without vzeroupper they become 50 times slower). */
#include "sha1.h"

#ifdef ENGINES_X86
#include "x86.h"

#define TARGET __attribute__((target("sha,ssse3,sse4.1")))
#define STREAMS(statement)               \
    for (size_t i = 0; i < COUNT; i++) { \
        statement;                       \
    }

/* Four rounds: `e` gets the rotated A of four rounds ago and the message words, then takes A for the next four. */
#define FOUR(now, next, function, words)                    \
    STREAMS(now[i] = _mm_sha1nexte_epu32(now[i], words[i])) \
    STREAMS(next[i] = abcd[i])                              \
    STREAMS(abcd[i] = _mm_sha1rnds4_epu32(abcd[i], now[i], function))

/* W[t..t+3] for t >= 16 out of the four vectors before. */
#define NEXT_WORDS(w0, w1, w2, w3) \
    STREAMS(w0[i] = _mm_sha1msg2_epu32(_mm_xor_si128(_mm_sha1msg1_epu32(w0[i], w1[i]), w2[i]), w3[i]))

#define COMPRESS(name, COUNT_)                                                                      \
    TARGET static void name(uint32_t (*states)[5], const uint8_t *const *blocks)                    \
    {                                                                                               \
        enum { COUNT = COUNT_ };                                                                    \
        const __m128i reverse = _mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f);             \
        __m128i abcd[COUNT], e0[COUNT], e1[COUNT], w0[COUNT], w1[COUNT], w2[COUNT], w3[COUNT];      \
        __m128i abcd_before[COUNT], e_before[COUNT];                                                \
        STREAMS(abcd[i] = _mm_shuffle_epi32(_mm_loadu_si128((const void *)states[i]), 0x1b))        \
        STREAMS(e0[i] = _mm_set_epi32((int)states[i][4], 0, 0, 0))                                  \
        STREAMS(abcd_before[i] = abcd[i])                                                           \
        STREAMS(e_before[i] = e0[i])                                                                \
        STREAMS(w0[i] = _mm_shuffle_epi8(_mm_loadu_si128((const void *)blocks[i]), reverse))        \
        STREAMS(w1[i] = _mm_shuffle_epi8(_mm_loadu_si128((const void *)(blocks[i] + 16)), reverse)) \
        STREAMS(w2[i] = _mm_shuffle_epi8(_mm_loadu_si128((const void *)(blocks[i] + 32)), reverse)) \
        STREAMS(w3[i] = _mm_shuffle_epi8(_mm_loadu_si128((const void *)(blocks[i] + 48)), reverse)) \
        STREAMS(e0[i] = _mm_add_epi32(e0[i], w0[i]))                                                \
        STREAMS(e1[i] = abcd[i])                                                                    \
        STREAMS(abcd[i] = _mm_sha1rnds4_epu32(abcd[i], e0[i], 0))                                   \
        FOUR(e1, e0, 0, w1)                                                                         \
        FOUR(e0, e1, 0, w2)                                                                         \
        FOUR(e1, e0, 0, w3)                                                                         \
        NEXT_WORDS(w0, w1, w2, w3)                                                                  \
        FOUR(e0, e1, 0, w0)                                                                         \
        NEXT_WORDS(w1, w2, w3, w0)                                                                  \
        FOUR(e1, e0, 1, w1)                                                                         \
        NEXT_WORDS(w2, w3, w0, w1)                                                                  \
        FOUR(e0, e1, 1, w2)                                                                         \
        NEXT_WORDS(w3, w0, w1, w2)                                                                  \
        FOUR(e1, e0, 1, w3)                                                                         \
        NEXT_WORDS(w0, w1, w2, w3)                                                                  \
        FOUR(e0, e1, 1, w0)                                                                         \
        NEXT_WORDS(w1, w2, w3, w0)                                                                  \
        FOUR(e1, e0, 1, w1)                                                                         \
        NEXT_WORDS(w2, w3, w0, w1)                                                                  \
        FOUR(e0, e1, 2, w2)                                                                         \
        NEXT_WORDS(w3, w0, w1, w2)                                                                  \
        FOUR(e1, e0, 2, w3)                                                                         \
        NEXT_WORDS(w0, w1, w2, w3)                                                                  \
        FOUR(e0, e1, 2, w0)                                                                         \
        NEXT_WORDS(w1, w2, w3, w0)                                                                  \
        FOUR(e1, e0, 2, w1)                                                                         \
        NEXT_WORDS(w2, w3, w0, w1)                                                                  \
        FOUR(e0, e1, 2, w2)                                                                         \
        NEXT_WORDS(w3, w0, w1, w2)                                                                  \
        FOUR(e1, e0, 3, w3)                                                                         \
        NEXT_WORDS(w0, w1, w2, w3)                                                                  \
        FOUR(e0, e1, 3, w0)                                                                         \
        NEXT_WORDS(w1, w2, w3, w0)                                                                  \
        FOUR(e1, e0, 3, w1)                                                                         \
        NEXT_WORDS(w2, w3, w0, w1)                                                                  \
        FOUR(e0, e1, 3, w2)                                                                         \
        NEXT_WORDS(w3, w0, w1, w2)                                                                  \
        FOUR(e1, e0, 3, w3)                                                                         \
        STREAMS(e0[i] = _mm_sha1nexte_epu32(e0[i], e_before[i]))                                    \
        STREAMS(abcd[i] = _mm_add_epi32(abcd[i], abcd_before[i]))                                   \
        STREAMS(_mm_storeu_si128((void *)states[i], _mm_shuffle_epi32(abcd[i], 0x1b)))              \
        STREAMS(states[i][4] = (uint32_t)_mm_extract_epi32(e0[i], 3))                               \
    }

COMPRESS(compress_one, 1)
COMPRESS(compress_two, 2)

void sha1_compress_shani(uint32_t (*states)[5], const uint8_t *const *blocks, size_t streams)
{
    if (streams == 2) {
        compress_two(states, blocks);
    } else {
        compress_one(states, blocks);
    }
}

void sha1_sign_shani(const sha1_key *key, const sha1_row *const *rows, size_t count)
{
    sha1_streams(key, rows, count, sha1_compress_shani);
}
#else
typedef int sha1_no_shani;
#endif
