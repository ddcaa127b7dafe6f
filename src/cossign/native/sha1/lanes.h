/* The round function, and the whole chain from HttpString to signature, over LANES messages at once.

   An instantiation defines LANES, TARGET (a function attribute) and SIGN (the function's name), and may define what its
   instruction set does better than the expressions below: ROL, CH, PARITY, MAJ, XOR3, BYTESWAP, HEX4, SHIFT, PIN. */
#include "sha1.h"

typedef uint32_t vec __attribute__((vector_size(4 * LANES)));
typedef int32_t signed_vec __attribute__((vector_size(4 * LANES)));
typedef uint32_t loose_vec __attribute__((vector_size(4 * LANES), aligned(1), may_alias));

#define INLINE TARGET static inline __attribute__((always_inline))

#ifndef ROL
#define ROL(x, n) ((x) << (n) | (x) >> (32 - (n)))
#endif
#ifndef ROL1
#define ROL1(x) (((x) + (x)) | (x) >> 31)
#endif
#ifndef XOR3
#define XOR3(x, y, z) ((x) ^ (y) ^ (z))
#endif
#ifndef CH
#define CH(b, c, d) ((d) ^ ((b) & ((c) ^ (d))))
#endif
#ifndef MAJ
#define MAJ(b, c, d) (((b) & (c)) | ((d) & ((b) | (c))))
#endif
#ifndef BYTESWAP
#define BYTESWAP(x) (((x) >> 24) | ((x) >> 8 & 0xff00) | ((x) << 8 & 0xff0000) | ((x) << 24))
#endif
#ifndef HEX_DIGITS /* four bytes 0-15 a word to "0"-"9", "a"-"f" */
#define HEX_DIGITS(x) ((x) + 0x30303030 + (((x) + 0x06060606) >> 4 & 0x01010101) * ('a' - '0' - 10))
#endif
/* An empty asm statement keeps the compiler from reordering what it holds: the order decides the speed. */
#ifndef PIN
#define PIN(x)
#endif

INLINE vec splat(uint32_t word)
{
    return (vec){0} + word;
}

/* --- The round function, FIPS 180-4, 6.1.2 --------------------------------------------------------------------------- */

/* A word of the schedule is made AHEAD of its round, while that waits for its sums. */
#ifndef AHEAD
#define AHEAD 3
#endif
#define W(w, t) (w)[(t) & 15]
#define SCHEDULE(w, t)                                                            \
    if ((t) >= 16 && (t) < 80) {                                                  \
        vec mixed = XOR3(W(w, (t) - 3), W(w, (t) - 8), W(w, (t) - 14)) ^ W(w, t); \
        W(w, t) = ROL1(mixed);                                                    \
    }
#define ADD_WORD(e, w, K, t) \
    e += W(w, t) + K;        \
    PIN(e);
#define ADD_CHOICE(b, c, d, e, F) \
    e += F(b, c, d);              \
    PIN(e);
#define ADD_ROTATED(a, b, e) \
    b = ROL(b, 30);          \
    e += ROL(a, 5);          \
    PIN(e);
#ifndef ROUND /* bench/order.py tries others */
#define ROUND(a, b, c, d, e, F, K, t) \
    ADD_WORD(e, w, K, t)              \
    SCHEDULE(w, (t) + AHEAD)          \
    ADD_CHOICE(b, c, d, e, F)         \
    ADD_ROTATED(a, b, e)
#endif
#define FIVE(ROUND, F, K, t)            \
    ROUND(a, b, c, d, e, F, K, (t))     \
    ROUND(e, a, b, c, d, F, K, (t) + 1) \
    ROUND(d, e, a, b, c, F, K, (t) + 2) \
    ROUND(c, d, e, a, b, F, K, (t) + 3) \
    ROUND(b, c, d, e, a, F, K, (t) + 4)
#define TWENTY(ROUND, F, K, t)  \
    FIVE(ROUND, F, K, (t))      \
    FIVE(ROUND, F, K, (t) + 5)  \
    FIVE(ROUND, F, K, (t) + 10) \
    FIVE(ROUND, F, K, (t) + 15)

TARGET static __attribute__((noinline)) void compress(vec state[5], const vec words[16])
{
    vec w[16];
    memcpy(w, words, sizeof w);
    vec a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    const vec k0 = splat(sha1_k[0]), k1 = splat(sha1_k[1]), k2 = splat(sha1_k[2]), k3 = splat(sha1_k[3]);
    TWENTY(ROUND, CH, k0, 0)
    TWENTY(ROUND, XOR3, k1, 20)
    TWENTY(ROUND, MAJ, k2, 40)
    TWENTY(ROUND, XOR3, k3, 60)
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

/* The same for a block that all lanes share; `kw` are its 80 W + K. */
#define SHARED_ROUND(a, b, c, d, e, F, K, t) \
    e += splat(kw[t]);                       \
    PIN(e);                                  \
    ADD_CHOICE(b, c, d, e, F)                \
    ADD_ROTATED(a, b, e)

TARGET static __attribute__((noinline)) void compress_shared(vec state[5], const uint32_t kw[80])
{
    vec a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    TWENTY(SHARED_ROUND, CH, , 0)
    TWENTY(SHARED_ROUND, XOR3, , 20)
    TWENTY(SHARED_ROUND, MAJ, , 40)
    TWENTY(SHARED_ROUND, XOR3, , 60)
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

/* Each step is taken for GROUPS groups of lanes in turn: one's last rounds overlap the other's first. Where a core has
   registers for two, SIDE_BY_SIDE, their rounds are mixed: while one waits for its sums, the other adds. */
enum { GROUPS = 2 };
#ifndef SIDE_BY_SIDE
#define SIDE_BY_SIDE 0
#endif

#if SIDE_BY_SIDE
#define ROUND_OF_TWO(a, b, c, d, e, F, K, t)  \
    ADD_WORD(e, w, K, t)                      \
    ADD_WORD(e##_2, w_2, K, t)                \
    SCHEDULE(w, (t) + AHEAD)                  \
    SCHEDULE(w_2, (t) + AHEAD)                \
    ADD_CHOICE(b, c, d, e, F)                 \
    ADD_CHOICE(b##_2, c##_2, d##_2, e##_2, F) \
    ADD_ROTATED(a, b, e)                      \
    ADD_ROTATED(a##_2, b##_2, e##_2)
#define SHARED_ROUND_OF_TWO(a, b, c, d, e, F, K, t) \
    SHARED_ROUND(a, b, c, d, e, F, K, t)            \
    SHARED_ROUND(a##_2, b##_2, c##_2, d##_2, e##_2, F, K, t)

TARGET static __attribute__((noinline)) void compress_two(vec state[2][5], const vec words[16], const vec words_2[16])
{
    vec w[16], w_2[16];
    memcpy(w, words, sizeof w);
    memcpy(w_2, words_2, sizeof w_2);
    vec a = state[0][0], b = state[0][1], c = state[0][2], d = state[0][3], e = state[0][4];
    vec a_2 = state[1][0], b_2 = state[1][1], c_2 = state[1][2], d_2 = state[1][3], e_2 = state[1][4];
    const vec k0 = splat(sha1_k[0]), k1 = splat(sha1_k[1]), k2 = splat(sha1_k[2]), k3 = splat(sha1_k[3]);
    TWENTY(ROUND_OF_TWO, CH, k0, 0)
    TWENTY(ROUND_OF_TWO, XOR3, k1, 20)
    TWENTY(ROUND_OF_TWO, MAJ, k2, 40)
    TWENTY(ROUND_OF_TWO, XOR3, k3, 60)
    const vec sums[2][5] = {{a, b, c, d, e}, {a_2, b_2, c_2, d_2, e_2}};
    for (int i = 0; i < 5; i++) {
        state[0][i] += sums[0][i];
        state[1][i] += sums[1][i];
    }
}

TARGET static __attribute__((noinline)) void compress_two_shared(vec state[2][5], const uint32_t kw[80])
{
    vec a = state[0][0], b = state[0][1], c = state[0][2], d = state[0][3], e = state[0][4];
    vec a_2 = state[1][0], b_2 = state[1][1], c_2 = state[1][2], d_2 = state[1][3], e_2 = state[1][4];
    TWENTY(SHARED_ROUND_OF_TWO, CH, , 0)
    TWENTY(SHARED_ROUND_OF_TWO, XOR3, , 20)
    TWENTY(SHARED_ROUND_OF_TWO, MAJ, , 40)
    TWENTY(SHARED_ROUND_OF_TWO, XOR3, , 60)
    const vec sums[2][5] = {{a, b, c, d, e}, {a_2, b_2, c_2, d_2, e_2}};
    for (int i = 0; i < 5; i++) {
        state[0][i] += sums[0][i];
        state[1][i] += sums[1][i];
    }
}
#endif

/* A block of one group, or of two. */
INLINE void compress_groups(vec (*state)[5], const vec first[16], const vec second[16], int count)
{
#if SIDE_BY_SIDE
    if (count == 2) {
        compress_two(state, first, second);
        return;
    }
#endif
    compress(state[0], first);
    if (count == 2) {
        compress(state[1], second);
    }
}

INLINE void compress_groups_shared(vec (*state)[5], const uint32_t kw[80], int count)
{
#if SIDE_BY_SIDE
    if (count == 2) {
        compress_two_shared(state, kw);
        return;
    }
#endif
    for (int g = 0; g < count; g++) {
        compress_shared(state[g], kw);
    }
}

/* --- Rows to lanes and back ------------------------------------------------------------------------------------------ */

#if LANES == 4
#define LOW32(x, y) __builtin_shufflevector(x, y, 0, 4, 1, 5)
#define HIGH32(x, y) __builtin_shufflevector(x, y, 2, 6, 3, 7)
#define LOW64(x, y) __builtin_shufflevector(x, y, 0, 1, 4, 5)
#define HIGH64(x, y) __builtin_shufflevector(x, y, 2, 3, 6, 7)
#elif LANES == 8
#define LOW32(x, y) __builtin_shufflevector(x, y, 0, 8, 1, 9, 4, 12, 5, 13)
#define HIGH32(x, y) __builtin_shufflevector(x, y, 2, 10, 3, 11, 6, 14, 7, 15)
#define LOW64(x, y) __builtin_shufflevector(x, y, 0, 1, 8, 9, 4, 5, 12, 13)
#define HIGH64(x, y) __builtin_shufflevector(x, y, 2, 3, 10, 11, 6, 7, 14, 15)
#define LOW128(x, y) __builtin_shufflevector(x, y, 0, 1, 2, 3, 8, 9, 10, 11)
#define HIGH128(x, y) __builtin_shufflevector(x, y, 4, 5, 6, 7, 12, 13, 14, 15)
#else
#define LOW32(x, y) __builtin_shufflevector(x, y, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define HIGH32(x, y) __builtin_shufflevector(x, y, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
/* As GCC knows vpunpckqdq: of elements of 64 bits. */
typedef uint64_t wide_vec __attribute__((vector_size(4 * LANES)));
#define LOW64(x, y) ((vec)__builtin_shufflevector((wide_vec)(x), (wide_vec)(y), 0, 8, 2, 10, 4, 12, 6, 14))
#define HIGH64(x, y) ((vec)__builtin_shufflevector((wide_vec)(x), (wide_vec)(y), 1, 9, 3, 11, 5, 13, 7, 15))
#endif

/* In each 128-bit part a matrix of 4 x 4 words, whose rows are four vectors. */
INLINE void transpose_fours(vec out[4], const vec m[4])
{
    vec low0 = LOW32(m[0], m[1]), high0 = HIGH32(m[0], m[1]);
    vec low1 = LOW32(m[2], m[3]), high1 = HIGH32(m[2], m[3]);
    out[0] = LOW64(low0, low1);
    out[1] = HIGH64(low0, low1);
    out[2] = LOW64(high0, high1);
    out[3] = HIGH64(high0, high1);
}

#if LANES < 16
/* A LANES x LANES matrix of words. */
INLINE void transpose(vec m[LANES])
{
    vec t[LANES];
    for (int i = 0; i < LANES; i += 4) {
        transpose_fours(t + i, m + i);
    }
#if LANES == 4
    memcpy(m, t, sizeof t);
#else
    for (int i = 0; i < 4; i++) {
        m[i] = LOW128(t[i], t[i + 4]);
        m[i + 4] = HIGH128(t[i], t[i + 4]);
    }
#endif
}
#endif

INLINE vec load_words(const uint8_t *block, int part)
{
    return (vec) * (const loose_vec *)(const void *)(block + 4 * LANES * part);
}

/* 16 words of every lane as 16 vectors. */
INLINE void load_lanes(vec w[16], const uint8_t *const words[LANES])
{
#if LANES == 16
    for (int part = 0; part < 16; part += 4) {
        vec m[4];
        for (int i = 0; i < 4; i++) { /* the memory's ports are idle, the shuffles' are not */
            size_t at = 4 * (size_t)part;
            m[i] = FOUR_PARTS(words[i] + at, words[i + 4] + at, words[i + 8] + at, words[i + 12] + at);
        }
        transpose_fours(w + part, m);
    }
#else
    for (int part = 0; part < 16; part += LANES) {
        for (int lane = 0; lane < LANES; lane++) {
            w[part + lane] = load_words(words[lane], part / LANES);
        }
        transpose(w + part);
    }
#endif
}

/* The same of a block of every lane's message, whose words are big-endian. */
INLINE void load_blocks(vec w[16], const uint8_t *const blocks[LANES])
{
    load_lanes(w, blocks);
    for (int i = 0; i < 16; i++) {
        w[i] = BYTESWAP(w[i]);
    }
}

/* A state as ten words of four hex characters, the first character in the high byte. */
INLINE void to_hex(vec hex[10], const vec state[5])
{
    for (int i = 0; i < 10; i++) {
        vec x = i & 1 ? state[i / 2] & 0xffff : state[i / 2] >> 16;
        x = (x | x << 8) & 0x00ff00ff;
        x = (x | x << 4) & 0x0f0f0f0f;
        hex[i] = HEX_DIGITS(x);
    }
}

INLINE void store_signatures(uint8_t *const holes[LANES], const vec state[5])
{
    vec hex[10];
    to_hex(hex, state);
    for (int i = 0; i < 10; i++) {
        hex[i] = BYTESWAP(hex[i]);
    }
#if LANES == 16
    for (int part = 0; part < 8; part += 4) {
        vec m[4];
        transpose_fours(m, hex + part);
        for (int lane = 0; lane < LANES; lane++) {
            memcpy(holes[lane] + 4 * part, (const uint8_t *)&m[lane % 4] + 4 * (lane - lane % 4), 16);
        }
    }
    const vec last[2] = {LOW32(hex[8], hex[9]), HIGH32(hex[8], hex[9])};
    for (int lane = 0; lane < LANES; lane++) {
        memcpy(holes[lane] + 32, (const uint8_t *)&last[lane % 4 / 2] + 4 * (lane - lane % 4) + 8 * (lane % 2), 8);
    }
#else
    uint32_t last[2][LANES];
    memcpy(last, hex + 8, sizeof last);
    for (int part = 0; part < 8; part += LANES) {
        transpose(hex + part);
        for (int lane = 0; lane < LANES; lane++) {
            memcpy(holes[lane] + 4 * part, &hex[part + lane], sizeof(vec));
        }
    }
    for (int lane = 0; lane < LANES; lane++) {
        memcpy(holes[lane] + 32, &last[0][lane], 4);
        memcpy(holes[lane] + 36, &last[1][lane], 4);
    }
#endif
}

/* --- The chain ------------------------------------------------------------------------------------------------------- */

/* StringToSign in the lanes: the hex digits of `state` from byte `head` on. The words in which they begin and end are
   `before` and `after`, without them. */
INLINE void compose_string(vec w[32], const vec state[5], vec before, vec after, uint32_t head)
{
    vec hex[10];
    uint32_t first = head / 4, left = 8 * (head % 4), right = 32 - left;
    to_hex(hex, state);
    if (left == 0) {
        for (uint32_t i = 0; i < 10; i++) {
            w[first + i] = hex[i];
        }
        return;
    }
    w[first] = before | hex[0] >> left;
    for (uint32_t i = 1; i < 10; i++) {
        w[first + i] = hex[i - 1] << right | hex[i] >> left;
    }
    w[first + 10] = after | hex[9] << right;
}

/* What neighbours share, kept from one group of lanes to the next. */
typedef struct {
    uint8_t block[SHA1_BLOCK]; /* a block that all lanes of a group had */
    uint32_t kw[80];           /* its W + K */
    int is_set;
} shared_block;

typedef struct {
    uint8_t blocks[4][SHA1_BLOCK]; /* blocks that all lanes of a group began with */
    uint32_t states[4][5];         /* the state after each */
    size_t count;
} shared_start;

#ifndef ANY
INLINE int any(vec x)
{
    uint64_t words[LANES / 2], bits = 0;
    memcpy(words, &x, sizeof words);
    for (int i = 0; i < LANES / 2; i++) {
        bits |= words[i];
    }
    return bits != 0;
}
#define ANY(x) any(x)
#endif

/* Whether all lanes' blocks are the same as `block`. The last lane's is the first to tell: keys are often sorted. */
INLINE int all_same(const uint8_t *const blocks[LANES], const uint8_t *block)
{
    for (int part = 0; part < 16 / LANES; part++) {
        vec same = load_words(block, part), difference = load_words(blocks[LANES - 1], part) ^ same;
        if (ANY(difference)) {
            return 0;
        }
        for (int lane = 0; lane < LANES - 1; lane++) {
            difference |= load_words(blocks[lane], part) ^ same;
        }
        if (ANY(difference)) {
            return 0;
        }
    }
    return 1;
}

/* W + K of a block, four words at a time. From word 32 on each depends on words that are six and more before it: twice
   the rule of FIPS 180-4. */
TARGET static void expand(shared_block *shared, const uint8_t *block)
{
    typedef uint32_t four __attribute__((vector_size(16)));
    four w[20];
    memcpy(shared->block, block, SHA1_BLOCK);
    shared->is_set = 1;
    memcpy(w, block, SHA1_BLOCK);
    for (int i = 0; i < 4; i++) {
        w[i] = w[i] >> 24 | (w[i] >> 8 & 0xff00) | (w[i] << 8 & 0xff0000) | w[i] << 24;
    }
    for (int i = 4; i < 8; i++) {
        four x = w[i - 4] ^ __builtin_shufflevector(w[i - 4], w[i - 3], 2, 3, 4, 5) ^ w[i - 2]
                 ^ __builtin_shufflevector(w[i - 1], (four){0}, 1, 2, 3, 4);
        x = x << 1 | x >> 31;
        const four last = __builtin_shufflevector((four){0}, x, 0, 0, 0, 4); /* it also depends on the first */
        w[i] = x ^ (last << 1 | last >> 31);
    }
    for (int i = 8; i < 20; i++) {
        four x = __builtin_shufflevector(w[i - 2], w[i - 1], 2, 3, 4, 5) ^ w[i - 4] ^ w[i - 7] ^ w[i - 8];
        w[i] = x << 2 | x >> 30;
    }
    for (int i = 0; i < 20; i++) {
        w[i] += sha1_k[i / 5];
    }
    memcpy(shared->kw, w, sizeof w);
}

/* A group of rows, one in each lane. */
typedef struct {
    const uint8_t *blocks[LANES]; /* of each lane's HttpString, the next one */
    vec counts;                   /* blocks of each lane's */
    size_t least, most;           /* of `counts` */
} lane_rows;

INLINE void begin_rows(lane_rows *group, const sha1_row *const rows[LANES])
{
    group->least = group->most = sha1_blocks(rows[0]->size);
    for (int lane = 0; lane < LANES; lane++) {
        size_t count = sha1_blocks(rows[lane]->size);
        group->blocks[lane] = rows[lane]->http;
        group->counts[lane] = (uint32_t)count;
        group->least = count < group->least ? count : group->least;
        group->most = count > group->most ? count : group->most;
    }
}

INLINE int groups_all_same(const lane_rows *groups, int count, const uint8_t *block)
{
    for (int g = 0; g < count; g++) {
        if (!all_same(groups[g].blocks, block)) {
            return 0;
        }
    }
    return 1;
}

INLINE void next_blocks(lane_rows *group, size_t done)
{
    for (int lane = 0; lane < LANES; lane++) {
        if (done < group->counts[lane]) { /* a lane that is done reads its last block again */
            group->blocks[lane] += SHA1_BLOCK;
        }
    }
}

/* The last block of rows that have as many; whether it was hashed, because all share it: rows of one length end alike. */
INLINE int hash_shared_end(vec (*state)[5], const lane_rows *groups, int count, shared_block *shared)
{
    if (!shared->is_set || !groups_all_same(groups, count, shared->block)) {
        if (!groups_all_same(groups, count, groups->blocks[0])) {
            return 0;
        }
        expand(shared, groups->blocks[0]);
    }
    compress_groups_shared(state, shared->kw, count);
    return 1;
}

/* SHA-1 of every lane's HttpString, of `count` groups. */
INLINE void hash_rows(vec (*state)[5], lane_rows *groups, int count, shared_start *start, shared_block *shared)
{
    vec w[GROUPS][16];
    const uint32_t *first = sha1_initial;
    size_t done = 0, least = groups[0].least, most = groups[0].most;
    for (int g = 1; g < count; g++) {
        least = groups[g].least < least ? groups[g].least : least;
        most = groups[g].most > most ? groups[g].most : most;
    }
    while (done < 4 && done < least) { /* a common prefix: hashed once */
        const uint8_t *block = groups->blocks[0];
        if (done >= start->count || !groups_all_same(groups, count, start->blocks[done])) {
            if (!groups_all_same(groups, count, block)) {
                break;
            }
            memcpy(start->blocks[done], block, SHA1_BLOCK);
            memcpy(start->states[done], first, sizeof start->states[done]);
            sha1_compress_portable(&start->states[done], &block, 1);
            start->count = done + 1;
        }
        first = start->states[done++];
        for (int g = 0; g < count; g++) {
            next_blocks(&groups[g], done);
        }
    }
    for (int g = 0; g < count; g++) {
        for (int i = 0; i < 5; i++) {
            state[g][i] = splat(first[i]);
        }
    }
    for (; done < least; done++) {
        if (done + 1 == most && done && hash_shared_end(state, groups, count, shared)) {
            return;
        }
        for (int g = 0; g < count; g++) {
            load_blocks(w[g], groups[g].blocks);
            next_blocks(&groups[g], done + 1);
        }
        compress_groups(state, w[0], w[1], count);
    }
    for (int g = 0; g < count; g++) { /* some lanes have more */
        for (size_t i = done; i < groups[g].most; i++) {
            vec before[5], running = (vec)(groups[g].counts > (uint32_t)i);
            memcpy(before, state[g], sizeof before);
            load_blocks(w[0], groups[g].blocks);
            next_blocks(&groups[g], i + 1);
            compress(state[g], w[0]);
            for (int j = 0; j < 5; j++) { /* the lanes that are done keep their state */
                state[g][j] = (state[g][j] & running) | (before[j] & ~running);
            }
        }
    }
}

/* A key of every lane: the words of StringToSign that differ, and HMAC's two states. */
INLINE void load_keys(vec string[16], vec states[16], const sha1_row *const rows[LANES])
{
    const uint8_t *keys[LANES], *strings[LANES];
    static_assert(offsetof(sha1_key, inner) == 0 && offsetof(sha1_key, outer) == 20, "the states are ten words");
    static_assert(SHA1_HEAD_MAX / 4 < 16, "only the first block of StringToSign differs by key");
    for (int lane = 0; lane < LANES; lane++) {
        keys[lane] = (const uint8_t *)rows[lane]->key;
        strings[lane] = rows[lane]->key->string;
    }
    load_blocks(string, strings);
    load_lanes(states, keys);
}

INLINE uint32_t string_word(const sha1_key *key, uint32_t number)
{
    uint32_t word;
    memcpy(&word, key->string + 4 * number, 4);
    return __builtin_bswap32(word);
}

/* What is constant in StringToSign, and in the message of HMAC's outer hash, is put once. */
INLINE void begin_messages(vec string[32], vec outer[16], const sha1_key *key)
{
    for (int i = 0; i < 32; i++) {
        string[i] = splat(string_word(key, (uint32_t)i));
    }
    outer[5] = splat(0x80000000);
    for (int i = 6; i < 15; i++) {
        outer[i] = splat(0);
    }
    outer[15] = splat((SHA1_BLOCK + 20) * 8);
}

TARGET void SIGN(const sha1_key *key, const sha1_row *const *rows, size_t count)
{
    shared_start start;
    shared_block shared;
    vec string[GROUPS][32], outer[GROUPS][16]; /* StringToSign, and the message of HMAC's outer hash */
    vec states[GROUPS][16];                    /* HMAC's two, of ten words, where each row has its own key */
    const sha1_key *any_key = key ? key : rows[0]->key;
    const uint32_t head = any_key->head_size;
    vec before[GROUPS], after = splat(string_word(any_key, head / 4 + 10));
    start.count = 0;
    shared.is_set = 0;
    for (int g = 0; g < GROUPS; g++) {
        begin_messages(string[g], outer[g], any_key);
        before[g] = splat(string_word(any_key, head / 4));
    }
    for (size_t i = 0; i < count; i += GROUPS * LANES) {
        uint8_t *holes[GROUPS][LANES], unused[SHA1_HEX];
        vec state[GROUPS][5];
        lane_rows group_rows[GROUPS];
        int groups = count - i > LANES ? GROUPS : 1;
        for (int g = 0; g < groups; g++) {
            const sha1_row *group[LANES];
            const sha1_row *const *first = rows + i + (size_t)g * LANES;
            size_t left = count - i - (size_t)g * LANES;
            for (size_t lane = 0; lane < LANES; lane++) { /* lanes without a row hash the first one again */
                group[lane] = first[lane < left ? lane : 0];
                holes[g][lane] = lane < left ? group[lane]->hole : unused;
            }
            begin_rows(&group_rows[g], group);
            if (!key) {
                load_keys(string[g], states[g], group);
                before[g] = string[g][head / 4];
            }
        }
        for (int g = 0; g < groups; g += SIDE_BY_SIDE ? groups : 1) {
            hash_rows(&state[g], &group_rows[g], SIDE_BY_SIDE ? groups : 1, &start, &shared);
        }
        for (int g = 0; g < groups; g++) {
            if (head == 27) { /* two times of ten digits: every KeyTime from 2001 to 2286 */
                compose_string(string[g], state[g], before[g], after, 27);
            } else {
                compose_string(string[g], state[g], before[g], after, head);
            }
            for (int j = 0; j < 5; j++) {
                state[g][j] = key ? splat(key->inner[j]) : states[g][j];
            }
        }
        for (uint32_t block = 0; block < any_key->string_blocks; block++) {
            compress_groups(state, string[0] + 16 * block, string[1] + 16 * block, groups);
        }
        for (int g = 0; g < groups; g++) {
            for (int j = 0; j < 5; j++) {
                outer[g][j] = state[g][j];
                state[g][j] = key ? splat(key->outer[j]) : states[g][5 + j];
            }
        }
        compress_groups(state, outer[0], outer[1], groups);
        for (int g = 0; g < groups; g++) {
            store_signatures(holes[g], state[g]);
        }
    }
}
