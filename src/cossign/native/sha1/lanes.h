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
#define W(t) w[(t) & 15]
#define SCHEDULE(t)                                                   \
    if ((t) >= 16 && (t) < 80) {                                      \
        vec mixed = XOR3(W((t) - 3), W((t) - 8), W((t) - 14)) ^ W(t); \
        W(t) = ROL1(mixed);                                           \
    }
#ifndef ROUND /* bench/order.py tries others */
#define ROUND(a, b, c, d, e, F, K, t) \
    e += W(t) + K;                    \
    PIN(e);                           \
    SCHEDULE((t) + AHEAD)             \
    e += F(b, c, d);                  \
    PIN(e);                           \
    b = ROL(b, 30);                   \
    e += ROL(a, 5);                   \
    PIN(e);
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
    e += F(b, c, d);                         \
    PIN(e);                                  \
    b = ROL(b, 30);                          \
    e += ROL(a, 5);                          \
    PIN(e);

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
#define LOW64(x, y) __builtin_shufflevector(x, y, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define HIGH64(x, y) __builtin_shufflevector(x, y, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
/* quarters 0 and 2 of both, or 1 and 3 */
#define EVEN128(x, y) __builtin_shufflevector(x, y, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27)
#define ODD128(x, y) __builtin_shufflevector(x, y, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31)
#endif

/* A LANES x LANES matrix of words. */
INLINE void transpose(vec m[LANES])
{
    vec t[LANES];
    for (int i = 0; i < LANES; i += 4) { /* each 128-bit part is a matrix of 4 x 4 */
        vec low0 = LOW32(m[i], m[i + 1]), high0 = HIGH32(m[i], m[i + 1]);
        vec low1 = LOW32(m[i + 2], m[i + 3]), high1 = HIGH32(m[i + 2], m[i + 3]);
        t[i] = LOW64(low0, low1);
        t[i + 1] = HIGH64(low0, low1);
        t[i + 2] = LOW64(high0, high1);
        t[i + 3] = HIGH64(high0, high1);
    }
#if LANES == 4
    memcpy(m, t, sizeof t);
#elif LANES == 8
    for (int i = 0; i < 4; i++) {
        m[i] = LOW128(t[i], t[i + 4]);
        m[i + 4] = HIGH128(t[i], t[i + 4]);
    }
#else
    for (int i = 0; i < 4; i++) {
        vec even0 = EVEN128(t[i], t[i + 4]), even1 = EVEN128(t[i + 8], t[i + 12]);
        vec odd0 = ODD128(t[i], t[i + 4]), odd1 = ODD128(t[i + 8], t[i + 12]);
        m[i] = EVEN128(even0, even1);
        m[i + 4] = EVEN128(odd0, odd1);
        m[i + 8] = ODD128(even0, even1);
        m[i + 12] = ODD128(odd0, odd1);
    }
#endif
}

INLINE vec load_words(const uint8_t *block, int part)
{
    return (vec) * (const loose_vec *)(const void *)(block + 4 * LANES * part);
}

/* 16 words of every lane as 16 vectors. */
INLINE void load_lanes(vec w[16], const uint8_t *const words[LANES])
{
    for (int part = 0; part < 16; part += LANES) {
        for (int lane = 0; lane < LANES; lane++) {
            w[part + lane] = load_words(words[lane], part / LANES);
        }
        transpose(w + part);
    }
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
    vec hex[LANES > 10 ? LANES : 10];
    to_hex(hex, state);
    for (int i = 0; i < 10; i++) {
        hex[i] = BYTESWAP(hex[i]);
    }
    for (int i = 10; i < LANES; i++) {
        hex[i] = splat(0);
    }
#if LANES == 16
    transpose(hex);
    for (int lane = 0; lane < LANES; lane++) {
        memcpy(holes[lane], &hex[lane], SHA1_HEX);
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

INLINE int any(vec x)
{
    uint64_t words[LANES / 2], bits = 0;
    memcpy(words, &x, sizeof words);
    for (int i = 0; i < LANES / 2; i++) {
        bits |= words[i];
    }
    return bits != 0;
}

/* Whether all lanes' blocks are the same as `block`. */
INLINE int all_same(const uint8_t *const blocks[LANES], const uint8_t *block)
{
    vec difference = splat(0);
    for (int part = 0; part < 16 / LANES; part++) {
        vec same = load_words(block, part);
        for (int lane = 0; lane < LANES; lane++) {
            difference |= load_words(blocks[lane], part) ^ same;
        }
    }
    return !any(difference);
}

TARGET static void expand(shared_block *shared, const uint8_t *block)
{
    uint32_t *w = shared->kw;
    memcpy(shared->block, block, SHA1_BLOCK);
    shared->is_set = 1;
    for (int t = 0; t < 16; t++) {
        memcpy(&w[t], block + 4 * t, 4);
        w[t] = __builtin_bswap32(w[t]);
    }
    for (int t = 16; t < 80; t++) {
        uint32_t x = w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16];
        w[t] = x << 1 | x >> 31;
    }
    for (int t = 0; t < 80; t++) {
        w[t] += sha1_k[t / 20];
    }
}

/* SHA-1 of every lane's HttpString. */
INLINE void hash_rows(vec state[5], const sha1_row *const rows[LANES], shared_start *start, shared_block *shared)
{
    const uint8_t *blocks[LANES];
    vec counts, w[16];
    size_t least = sha1_blocks(rows[0]->size), most = least, done = 0;
    for (int lane = 0; lane < LANES; lane++) {
        size_t count = sha1_blocks(rows[lane]->size);
        blocks[lane] = rows[lane]->http;
        counts[lane] = (uint32_t)count;
        least = count < least ? count : least;
        most = count > most ? count : most;
    }
    const uint32_t *first = sha1_initial;
    while (done < 4 && done < least) { /* a common prefix: hashed once */
        if (done >= start->count || !all_same(blocks, start->blocks[done])) {
            if (!all_same(blocks, blocks[0])) {
                break;
            }
            memcpy(start->blocks[done], blocks[0], SHA1_BLOCK);
            memcpy(start->states[done], first, sizeof start->states[done]);
            sha1_compress_portable(&start->states[done], blocks, 1);
            start->count = done + 1;
        }
        first = start->states[done++];
        for (int lane = 0; lane < LANES; lane++) {
            blocks[lane] += SHA1_BLOCK;
        }
    }
    for (int i = 0; i < 5; i++) {
        state[i] = splat(first[i]);
    }
    for (; done < most; done++) {
        if (done + 1 == least && least == most && done) { /* rows of one length end alike */
            int is_shared = shared->is_set && all_same(blocks, shared->block);
            if (!is_shared && all_same(blocks, blocks[0])) {
                expand(shared, blocks[0]);
                is_shared = 1;
            }
            if (is_shared) {
                compress_shared(state, shared->kw);
                return;
            }
        }
        load_blocks(w, blocks);
        if (done < least) {
            compress(state, w);
        } else { /* the lanes that are done keep their state */
            vec before[5], running = (vec)(counts > (uint32_t)done);
            memcpy(before, state, sizeof before);
            compress(state, w);
            for (int i = 0; i < 5; i++) {
                state[i] = (state[i] & running) | (before[i] & ~running);
            }
        }
        for (int lane = 0; lane < LANES; lane++) {
            if (done + 1 < counts[lane]) { /* a lane that is done reads its last block again */
                blocks[lane] += SHA1_BLOCK;
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

/* Each step is taken for PAIR groups of lanes in turn: one group's last rounds overlap the other's first. */
enum { PAIR = 2 };

TARGET void SIGN(const sha1_key *key, const sha1_row *const *rows, size_t count)
{
    shared_start start;
    shared_block shared;
    vec string[PAIR][32], outer[PAIR][16]; /* StringToSign, and the message of HMAC's outer hash */
    vec states[PAIR][16];                  /* HMAC's two, of ten words, where each row has its own key */
    const sha1_key *any_key = key ? key : rows[0]->key;
    const uint32_t head = any_key->head_size;
    vec before[PAIR], after = splat(string_word(any_key, head / 4 + 10));
    start.count = 0;
    shared.is_set = 0;
    for (int g = 0; g < PAIR; g++) {
        begin_messages(string[g], outer[g], any_key);
        before[g] = splat(string_word(any_key, head / 4));
    }
    for (size_t i = 0; i < count; i += PAIR * LANES) {
        uint8_t *holes[PAIR][LANES], unused[SHA1_HEX];
        vec state[PAIR][5];
        int groups = count - i > LANES ? PAIR : 1;
        for (int g = 0; g < groups; g++) {
            const sha1_row *group[LANES];
            const sha1_row *const *first = rows + i + (size_t)g * LANES;
            size_t left = count - i - (size_t)g * LANES;
            for (size_t lane = 0; lane < LANES; lane++) { /* lanes without a row hash the first one again */
                group[lane] = first[lane < left ? lane : 0];
                holes[g][lane] = lane < left ? group[lane]->hole : unused;
            }
            hash_rows(state[g], group, &start, &shared);
            if (!key) {
                load_keys(string[g], states[g], group);
                before[g] = string[g][head / 4];
            }
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
            for (int g = 0; g < groups; g++) {
                compress(state[g], string[g] + 16 * block);
            }
        }
        for (int g = 0; g < groups; g++) {
            for (int j = 0; j < 5; j++) {
                outer[g][j] = state[g][j];
                state[g][j] = key ? splat(key->outer[j]) : states[g][5 + j];
            }
        }
        for (int g = 0; g < groups; g++) {
            compress(state[g], outer[g]);
        }
        for (int g = 0; g < groups; g++) {
            store_signatures(holes[g], state[g]);
        }
    }
}
