/* The SHA-1 instructions of ARMv8's cryptographic extension. */
#include "sha1.h"

#ifdef ENGINE_ARMV8
#include <arm_neon.h>

#ifdef __clang__
#define TARGET __attribute__((target("sha2")))
#else
#define TARGET __attribute__((target("+crypto")))
#endif

/* Four rounds; E for the next four is A of now, rotated. */
#define FOUR(function, constant, words)                                        \
    next = vsha1h_u32(vgetq_lane_u32(abcd, 0));                                \
    abcd = function(abcd, e, vaddq_u32(words, vdupq_n_u32(sha1_k[constant]))); \
    e = next;

/* W[t..t+3] for t >= 16 out of the four vectors before. */
#define NEXT_WORDS(w0, w1, w2, w3) w0 = vsha1su1q_u32(vsha1su0q_u32(w0, w1, w2), w3);

static inline uint32x4_t load(const uint8_t *bytes)
{
    return vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(bytes)));
}

TARGET static void compress_one(uint32_t state[5], const uint8_t *block)
{
    uint32x4_t abcd = vld1q_u32(state), before = abcd;
    uint32_t e = state[4], next;
    uint32x4_t w0 = load(block), w1 = load(block + 16), w2 = load(block + 32), w3 = load(block + 48);
    FOUR(vsha1cq_u32, 0, w0)
    FOUR(vsha1cq_u32, 0, w1)
    FOUR(vsha1cq_u32, 0, w2)
    FOUR(vsha1cq_u32, 0, w3)
    NEXT_WORDS(w0, w1, w2, w3)
    FOUR(vsha1cq_u32, 0, w0)
    NEXT_WORDS(w1, w2, w3, w0)
    FOUR(vsha1pq_u32, 1, w1)
    NEXT_WORDS(w2, w3, w0, w1)
    FOUR(vsha1pq_u32, 1, w2)
    NEXT_WORDS(w3, w0, w1, w2)
    FOUR(vsha1pq_u32, 1, w3)
    NEXT_WORDS(w0, w1, w2, w3)
    FOUR(vsha1pq_u32, 1, w0)
    NEXT_WORDS(w1, w2, w3, w0)
    FOUR(vsha1pq_u32, 1, w1)
    NEXT_WORDS(w2, w3, w0, w1)
    FOUR(vsha1mq_u32, 2, w2)
    NEXT_WORDS(w3, w0, w1, w2)
    FOUR(vsha1mq_u32, 2, w3)
    NEXT_WORDS(w0, w1, w2, w3)
    FOUR(vsha1mq_u32, 2, w0)
    NEXT_WORDS(w1, w2, w3, w0)
    FOUR(vsha1mq_u32, 2, w1)
    NEXT_WORDS(w2, w3, w0, w1)
    FOUR(vsha1mq_u32, 2, w2)
    NEXT_WORDS(w3, w0, w1, w2)
    FOUR(vsha1pq_u32, 3, w3)
    NEXT_WORDS(w0, w1, w2, w3)
    FOUR(vsha1pq_u32, 3, w0)
    NEXT_WORDS(w1, w2, w3, w0)
    FOUR(vsha1pq_u32, 3, w1)
    NEXT_WORDS(w2, w3, w0, w1)
    FOUR(vsha1pq_u32, 3, w2)
    NEXT_WORDS(w3, w0, w1, w2)
    FOUR(vsha1pq_u32, 3, w3)
    vst1q_u32(state, vaddq_u32(abcd, before));
    state[4] += e;
}

void sha1_compress_armv8(uint32_t (*states)[5], const uint8_t *const *blocks, size_t streams)
{
    for (size_t i = 0; i < streams; i++) {
        compress_one(states[i], blocks[i]);
    }
}

void sha1_sign_armv8(const sha1_key *key, const sha1_row *const *rows, size_t count)
{
    sha1_streams(key, rows, count, sha1_compress_armv8);
}
#else
typedef int sha1_no_armv8;
#endif
