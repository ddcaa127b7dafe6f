/* Signatures of many rows: the one interface that the core sees.

   Signature = hex(HMAC-SHA1(SignKey, "sha1\n" KeyTime "\n" hex(SHA1(HttpString)) "\n"))
   Tencent Cloud, COS, "Request Signature" (product 436, page 7778); SHA-1: FIPS 180-4; HMAC: RFC 2104. */
#ifndef COSSIGN_SHA1_H
#define COSSIGN_SHA1_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    SHA1_BLOCK = 64,                   /* bytes */
    SHA1_HEX = 40,                     /* characters of a digest */
    SHA1_HEAD_MAX = 40,                /* bytes of "sha1\n" KeyTime "\n", two times of 15 digits included */
    SHA1_TILE = 256,                   /* rows that sha1_sign groups at a time */
    SHA1_KEY_MAX = 850,                /* bytes of a key in a sha1_frame */
    SHA1_FRAME_SLACK = 3 * SHA1_BLOCK, /* bytes that may be read behind a text of a sha1_frame */
    SHA1_ENGINES = 8                   /* the most that a CPU can have */
};

/* What a batch has in common. */
typedef struct {
    uint32_t inner[5]; /* SHA-1's states after HMAC's inner and outer pad */
    uint32_t outer[5];
    uint32_t head_size;
    uint32_t string_blocks;                    /* of StringToSign: 1 or 2 */
    uint8_t string[2 * SHA1_BLOCK];            /* StringToSign with its padding, the hex digits still 0 */
    uint32_t string_words[2 * SHA1_BLOCK / 4]; /* the same as big-endian words */
} sha1_key;

/* An HttpString, padded (see sha1_pad) in sha1_blocks(size) * SHA1_BLOCK bytes, and where its signature goes. */
typedef struct {
    const uint8_t *http;
    size_t size;
    uint8_t *hole; /* SHA1_HEX characters */
} sha1_row;

typedef struct {
    const uint8_t *data;
    size_t size;
} sha1_text;

/* The constant text of the usual row: a key between two texts, in HttpString and in the URL. */
typedef struct {
    sha1_text http[2]; /* 0x80 and zeros behind the second: it serves as the padding, too */
    sha1_text text[3]; /* before the key, behind it, behind the signature */
    int escapes;       /* a key may be laid out that needs escapes */
} sha1_frame;

/* Where rows are laid out: both move on. Nothing at or behind `end` is written. */
typedef struct {
    uint8_t *http; /* room for every row's padded HttpString, and SHA1_FRAME_SLACK behind the last */
    uint8_t *out;
    const uint8_t *end; /* of the room at `out` */
} sha1_space;

/* Lay out usual rows: their HttpStrings, padded, and their texts, with a hole for the signature.
   Returns how many there are before the first one that is not usual, or has no room: a row whose key is empty, too
   long, begins with a slash or a backslash, has a segment that begins with a dot or one of the bytes 18-1B hex, needs an
   escape where the frame or the engine has none, or is no UTF-8. None may be, if http[0] is as long as a block. */
typedef size_t sha1_layer(
    const sha1_frame *frame, const sha1_text *keys, size_t count, sha1_space *space, sha1_row *rows, sha1_text *texts);

typedef void sha1_signer(const sha1_key *key, const sha1_row *const *rows, size_t count);

typedef struct {
    const char *name;
    size_t lanes;
    sha1_signer *sign;
    sha1_signer *rest; /* for rows that would leave most lanes empty: */
    size_t few;        /* up to so many */
    sha1_layer *lay;   /* NULL if it has none */
} sha1_engine;

/* The engines that this CPU has, fastest first; returns how many. */
size_t sha1_engines(sha1_engine engines[SHA1_ENGINES]);

/* Prepare a batch: `hmac_key`, at most SHA1_BLOCK bytes, and the head of StringToSign, at most SHA1_HEAD_MAX bytes.
   Returns 0; or -1 if one of them is longer, and then nothing is written. */
int sha1_prepare(sha1_key *key, const uint8_t *hmac_key, size_t size, const uint8_t *head, size_t head_size);

/* Fill every row's hole. */
void sha1_sign(const sha1_engine *engine, const sha1_key *key, const sha1_row *rows, size_t count);

static inline size_t sha1_blocks(size_t size)
{
    return (size + 8) / SHA1_BLOCK + 1;
}

/* Write the padding behind `size` bytes of a message; `before` bytes were hashed ahead of it. SHA1_BLOCK more bytes
   behind the last block may be overwritten. */
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

/* --- Between the engines ------------------------------------------------------------------------------------------ */

/* `streams` (1 or 2) states, each changed by its own block. */
typedef void sha1_compressor(uint32_t (*states)[5], const uint8_t *const *blocks, size_t streams);

/* The chain from HttpString to signature over single streams. */
void sha1_streams(const sha1_key *key, const sha1_row *const *rows, size_t count, sha1_compressor *compress);

/* The first state (FIPS 180-4, 5.3.1) and the rounds' constants (4.2.1). */
extern const uint32_t sha1_initial[5];
extern const uint32_t sha1_k[4];

sha1_compressor sha1_compress_portable;
sha1_signer sha1_sign_portable, sha1_sign_sse2, sha1_sign_avx2, sha1_sign_avx512, sha1_sign_shani, sha1_sign_neon,
    sha1_sign_armv8;
sha1_layer sha1_lay_sse2, sha1_lay_avx2, sha1_lay_avx512, sha1_lay_neon;

#if (defined(__GNUC__) || defined(__clang__)) && defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define SHA1_VECTORS 1 /* compiler vector extensions: GCC 12 or Clang */
#endif
#endif
#if defined(SHA1_VECTORS) && defined(__x86_64__)
#define SHA1_X86 1
#endif
#if defined(SHA1_VECTORS) && defined(__aarch64__)
#define SHA1_ARM 1
#endif

#endif
