/* Signatures of many rows by SHA-1 and HMAC.

   Signature = hex(HMAC-SHA1(SignKey, "sha1\n" KeyTime "\n" hex(SHA1(HttpString)) "\n"))
   Tencent Cloud, COS, "Request Signature" (product 436, page 7778); SHA-1: FIPS 180-4; HMAC: RFC 2104. */
#ifndef COSSIGN_SHA1_H
#define COSSIGN_SHA1_H

#include "../compiler.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    SHA1_BLOCK = 64,      /* bytes */
    SHA1_HEX = 40,        /* characters of a digest */
    SHA1_HEAD_MAX = 40,   /* bytes of "sha1\n" KeyTime "\n", two times of 15 digits included */
    SHA1_KEY_TIME_AT = 5, /* where KeyTime begins in StringToSign: after "sha1\n" */
    SHA1_TILE = 512       /* rows that are laid out, then grouped and hashed at a time: they stay in the second cache */
};

/* What a batch has in common. */
typedef struct {
    uint32_t inner[5]; /* SHA-1's states after HMAC's inner and outer pad */
    uint32_t outer[5];
    uint32_t head_size;
    uint32_t string_blocks; /* of StringToSign: 1 or 2 */
    uint32_t unused[4];
    uint8_t string[2 * SHA1_BLOCK]; /* StringToSign with its padding, the hex digits still 0 */
} sha1_key;

static_assert(offsetof(sha1_key, string) == SHA1_BLOCK, "what differs by key lies in two lines of the caches");

/* An HttpString, padded (see sha1_pad) in sha1_blocks(size) * SHA1_BLOCK bytes, and where its signature goes. */
typedef struct {
    const uint8_t *http;
    size_t size;
    uint8_t *hole;       /* SHA1_HEX characters */
    const sha1_key *key; /* of this row alone; read only where the batch has none */
} sha1_row;

/* Fills every row's hole; the rows need not lie one after the other. Without a `key` each row has its own, and the
   heads of all have one size. */
typedef void sha1_signer(const sha1_key *key, const sha1_row *const *rows, size_t count);

/* `streams` (1 or 2) states, each changed by its own block. */
typedef void sha1_compressor(uint32_t (*states)[5], const uint8_t *const *blocks, size_t streams);

/* Prepare a batch: `hmac_key`, at most SHA1_BLOCK bytes, and the head of StringToSign, at most SHA1_HEAD_MAX bytes.
   Returns 0; or -1 if one of them is longer, and then nothing is written. */
int sha1_prepare(sha1_key *key, const uint8_t *hmac_key, size_t size, const uint8_t *head, size_t head_size);

/* The same with the SignKey of a KeyTime: hex(HMAC-SHA1(SecretKey, KeyTime)). `secret` is prepared with the SecretKey
   and no head. */
int sha1_prepare_key_time(
    sha1_key *key, const sha1_key *secret, const uint8_t *key_time, size_t size, sha1_compressor *compress);

static inline size_t sha1_blocks(size_t size)
{
    return (size + 8) / SHA1_BLOCK + 1;
}

/* Write the padding after `size` bytes of a message; `before` bytes were hashed ahead of it. SHA1_BLOCK more bytes
   after the last block may be overwritten. */
static inline void sha1_pad(uint8_t *message, size_t size, size_t before)
{
    uint64_t bits = (uint64_t)(size + before) * 8;
    uint8_t *length = message + sha1_blocks(size) * SHA1_BLOCK - 8;
    memset(message + size, 0, SHA1_BLOCK + 8);
    message[size] = 0x80;
    for (int i = 0; i < 8; i++) {
        length[i] = (uint8_t)(bits >> (56 - 8 * i));
    }
}

/* A digest of SHA1_HEX / 2 bytes as lower-case hex characters. */
static inline void put_hex(uint8_t *out, const uint8_t *digest)
{
    static const uint8_t digits[] = "0123456789abcdef";
    for (int i = 0; i < SHA1_HEX / 2; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
}

/* Overwrite a secret; no compiler leaves it out. */
static inline void wipe(void *memory, size_t size)
{
    volatile uint8_t *bytes = memory;
    for (size_t i = 0; i < size; i++) {
        bytes[i] = 0;
    }
}

/* --- Between the engines ------------------------------------------------------------------------------------------ */

/* The chain from HttpString to signature over single streams. */
void sha1_streams(const sha1_key *key, const sha1_row *const *rows, size_t count, sha1_compressor *compress);

/* The first state (FIPS 180-4, 5.3.1) and the rounds' constants (4.2.1). */
extern const uint32_t sha1_initial[5];
extern const uint32_t sha1_k[4];

sha1_compressor sha1_compress_portable, sha1_compress_shani, sha1_compress_armv8;
sha1_signer sha1_sign_portable, sha1_sign_sse2, sha1_sign_avx2, sha1_sign_avx512, sha1_sign_shani, sha1_sign_neon,
    sha1_sign_armv8;

#endif
