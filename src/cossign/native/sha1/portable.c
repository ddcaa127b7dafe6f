/* Plain C, one message after the other: the yardstick of the other engines, and what they share. */
#include "sha1.h"

const uint32_t sha1_initial[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
const uint32_t sha1_k[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};

static uint32_t rotate(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

static uint32_t big_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void put_big_endian(uint8_t *bytes, uint32_t word)
{
    for (int i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(word >> (24 - 8 * i));
    }
}

/* FIPS 180-4, 6.1.3: the schedule in 16 words. The roles of a-e turn from round to round instead of their values. */
#define WORD(t)      \
    ((t) < 16 ? w[t] \
              : (w[(t) & 15] = rotate(w[((t) - 3) & 15] ^ w[((t) - 8) & 15] ^ w[((t) - 14) & 15] ^ w[(t) & 15], 1)))
#define ROUND(a, b, c, d, e, F, t)                               \
    e += rotate(a, 5) + F(b, c, d) + sha1_k[(t) / 20] + WORD(t); \
    b = rotate(b, 30);
#define FIVE(F, t)                   \
    ROUND(a, b, c, d, e, F, (t))     \
    ROUND(e, a, b, c, d, F, (t) + 1) \
    ROUND(d, e, a, b, c, F, (t) + 2) \
    ROUND(c, d, e, a, b, F, (t) + 3) \
    ROUND(b, c, d, e, a, F, (t) + 4)
#define TWENTY(F, t)  \
    FIVE(F, t)        \
    FIVE(F, (t) + 5)  \
    FIVE(F, (t) + 10) \
    FIVE(F, (t) + 15)
#define CH(b, c, d) ((d) ^ ((b) & ((c) ^ (d))))
#define PARITY(b, c, d) ((b) ^ (c) ^ (d))
#define MAJ(b, c, d) (((b) & (c)) | ((d) & ((b) | (c))))

static void compress_one(uint32_t state[5], const uint8_t *block)
{
    uint32_t w[16];
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int t = 0; t < 16; t++) {
        w[t] = big_endian(block + 4 * t);
    }
    TWENTY(CH, 0)
    TWENTY(PARITY, 20)
    TWENTY(MAJ, 40)
    TWENTY(PARITY, 60)
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

void sha1_compress_portable(uint32_t (*states)[5], const uint8_t *const *blocks, size_t streams)
{
    for (size_t i = 0; i < streams; i++) {
        compress_one(states[i], blocks[i]);
    }
}

void sha1_sign_portable(const sha1_key *key, const sha1_row *const *rows, size_t count)
{
    sha1_streams(key, rows, count, sha1_compress_portable);
}

static void put_digest(uint8_t *out, const uint32_t state[5])
{
    for (int i = 0; i < 5; i++) {
        put_big_endian(out + 4 * i, state[i]);
    }
}

static void put_state_hex(uint8_t *out, const uint32_t state[5])
{
    uint8_t digest[SHA1_HEX / 2];
    put_digest(digest, state);
    put_hex(out, digest);
}

/* The message of HMAC's outer hash, padded: the digest of the inner one. */
static void put_outer(uint8_t message[2 * SHA1_BLOCK], const uint32_t state[5])
{
    put_digest(message, state);
    sha1_pad(message, SHA1_HEX / 2, SHA1_BLOCK);
}

/* One pair of rows, or one row. */
static void sign_streams(const sha1_key *key, const sha1_row *const *rows, size_t streams, sha1_compressor *compress)
{
    uint32_t states[2][5];
    uint8_t strings[2][2 * SHA1_BLOCK];
    uint8_t outer[2][2 * SHA1_BLOCK];
    const uint8_t *blocks[2];
    size_t counts[2] = {0, 0};
    const sha1_key *keys[2] = {key, key};
    for (size_t i = 0; i < streams; i++) {
        keys[i] = key ? key : rows[i]->key;
        memcpy(states[i], sha1_initial, sizeof states[i]);
        blocks[i] = rows[i]->http;
        counts[i] = sha1_blocks(rows[i]->size);
    }
    for (; streams == 2 && counts[0] && counts[1]; counts[0]--, counts[1]--) {
        compress(states, blocks, 2);
        blocks[0] += SHA1_BLOCK;
        blocks[1] += SHA1_BLOCK;
    }
    for (size_t i = 0; i < streams; i++) {
        for (; counts[i]; counts[i]--) {
            compress(states + i, blocks + i, 1);
            blocks[i] += SHA1_BLOCK;
        }
        memcpy(strings[i], keys[i]->string, sizeof strings[i]);
        put_state_hex(strings[i] + keys[i]->head_size, states[i]);
        memcpy(states[i], keys[i]->inner, sizeof states[i]);
    }
    for (size_t part = 0; part < keys[0]->string_blocks; part++) {
        for (size_t i = 0; i < streams; i++) {
            blocks[i] = strings[i] + part * SHA1_BLOCK;
        }
        compress(states, blocks, streams);
    }
    for (size_t i = 0; i < streams; i++) {
        put_outer(outer[i], states[i]);
        memcpy(states[i], keys[i]->outer, sizeof states[i]);
        blocks[i] = outer[i];
    }
    compress(states, blocks, streams);
    for (size_t i = 0; i < streams; i++) {
        put_state_hex(rows[i]->hole, states[i]);
    }
}

void sha1_streams(const sha1_key *key, const sha1_row *const *rows, size_t count, sha1_compressor *compress)
{
    size_t i = 0;
    for (; i + 1 < count; i += 2) {
        sign_streams(key, rows + i, 2, compress);
    }
    if (i < count) {
        sign_streams(key, rows + i, 1, compress);
    }
}

static int prepare(sha1_key *key, const uint8_t *hmac_key, size_t size, const uint8_t *head, size_t head_size,
    sha1_compressor *compress)
{
    if (size > SHA1_BLOCK || head_size > SHA1_HEAD_MAX) {
        return -1;
    }
    uint8_t pads[2][SHA1_BLOCK];
    const uint8_t *blocks[2] = {pads[0], pads[1]};
    uint32_t states[2][5];
    memset(pads[0], 0x36, sizeof pads[0]);
    memset(pads[1], 0x5c, sizeof pads[1]);
    for (size_t i = 0; i < size; i++) {
        pads[0][i] ^= hmac_key[i];
        pads[1][i] ^= hmac_key[i];
    }
    memcpy(states[0], sha1_initial, sizeof states[0]);
    memcpy(states[1], sha1_initial, sizeof states[1]);
    compress(states, blocks, 2);
    memcpy(key->inner, states[0], sizeof key->inner);
    memcpy(key->outer, states[1], sizeof key->outer);
    wipe(pads, sizeof pads);
    wipe(states, sizeof states);
    key->head_size = (uint32_t)head_size;
    key->string_blocks = (uint32_t)sha1_blocks(head_size + SHA1_HEX + 1);
    uint8_t string[3 * SHA1_BLOCK] = {0};
    memcpy(string, head, head_size);
    string[head_size + SHA1_HEX] = '\n';
    sha1_pad(string, head_size + SHA1_HEX + 1, SHA1_BLOCK);
    memcpy(key->string, string, sizeof key->string);
    return 0;
}

int sha1_prepare(sha1_key *key, const uint8_t *hmac_key, size_t size, const uint8_t *head, size_t head_size)
{
    return prepare(key, hmac_key, size, head, head_size, sha1_compress_portable);
}

int sha1_prepare_key_time(
    sha1_key *key, const sha1_key *secret, const uint8_t *key_time, size_t size, sha1_compressor *compress)
{
    static const uint8_t first_line[SHA1_KEY_TIME_AT] = {'s', 'h', 'a', '1', '\n'};
    enum { AROUND = SHA1_KEY_TIME_AT + 1 }; /* before KeyTime, and a line's end after it */
    uint8_t message[2 * SHA1_BLOCK], head[SHA1_HEAD_MAX], sign_key[SHA1_HEX];
    const uint8_t *block = message;
    uint32_t state[5];
    if (size > SHA1_HEAD_MAX - AROUND) {
        return -1;
    }
    memcpy(message, key_time, size);
    sha1_pad(message, size, SHA1_BLOCK);
    memcpy(state, secret->inner, sizeof state);
    compress(&state, &block, 1);
    put_outer(message, state);
    memcpy(state, secret->outer, sizeof state);
    compress(&state, &block, 1);
    put_digest(message, state);
    put_hex(sign_key, message);
    memcpy(head, first_line, sizeof first_line);
    memcpy(head + sizeof first_line, key_time, size);
    head[sizeof first_line + size] = '\n';
    prepare(key, sign_key, sizeof sign_key, head, size + AROUND, compress);
    wipe(sign_key, sizeof sign_key);
    wipe(state, sizeof state);
    wipe(message, sizeof message);
    return 0;
}
