/* The usual row: a key that stays as it is, between constant texts, laid out in whole vectors.

   An instantiation defines LANES and TARGET as for lanes.h, and LAY (the function's name). Where its vectors are wider
   than put_key's it defines UNSAFE and EQUAL too, masks of the bytes that need an escape or that are a character, and
   LOAD if it can read the first bytes of a vector alone. */
#include "scan.h"
#include "sha1.h"

#define WIDTH (4 * LANES)
typedef uint8_t bytes __attribute__((vector_size(WIDTH)));
typedef uint8_t loose_bytes __attribute__((vector_size(WIDTH), aligned(1), may_alias));

#define LINE TARGET static inline __attribute__((always_inline))

LINE bytes load_bytes(const uint8_t *text)
{
    return (bytes) * (const loose_bytes *)(const void *)text;
}

LINE void put_vector(uint8_t *out, bytes vector)
{
    *(loose_bytes *)(void *)out = (loose_bytes)vector;
}

/* WIDTH bytes behind `text` are readable, and behind `out` writable. */
LINE void put_vectors(uint8_t *out, const uint8_t *text, size_t size)
{
    for (size_t i = 0; i < size; i += WIDTH) {
        put_vector(out + i, load_bytes(text + i));
    }
}

#ifdef UNSAFE
#define ALL (~(uint64_t)0 >> (64 - WIDTH))

/* Store a part of a key to both places; which of its bytes are not plain. */
LINE uint64_t put_part(uint8_t *one, uint8_t *other, bytes part, uint64_t *after_slash)
{
    uint64_t slashes = EQUAL(part, '/'), dots = EQUAL(part, '.') & (slashes << 1 | *after_slash);
    *after_slash = slashes >> (WIDTH - 1);
    put_vector(one, part);
    put_vector(other, part);
    return UNSAFE(part) | dots;
}
#endif

/* put_key to two places; WIDTH bytes behind both are writable. */
LINE int put_key_twice(uint8_t *one, uint8_t *other, const uint8_t *key, size_t size)
{
#ifdef LOAD
    uint64_t found = 0, after_slash = 1;
    for (size_t i = 0; i < size; i += WIDTH) {
        uint64_t here = ALL >> (size - i < WIDTH ? WIDTH - (size - i) : 0);
        found |= put_part(one + i, other + i, LOAD(key + i, here), &after_slash) & here;
    }
    return (found & ALL) == 0;
#else
#ifdef UNSAFE
    if (size >= WIDTH) {
        uint64_t found = 0, after_slash = 1;
        for (size_t i = 0; i < size; i += WIDTH) {
            if (size - i < WIDTH) { /* the last part overlaps the one before */
                i = size - WIDTH;
                after_slash = key[i - 1] == '/';
            }
            found |= put_part(one + i, other + i, load_bytes(key + i), &after_slash);
        }
        return (found & ALL) == 0;
    }
#endif
    put_exact(other, key, size);
    return put_key(one, key, size);
#endif
}

TARGET size_t LAY(
    const sha1_frame *frame, const sha1_text *keys, size_t count, sha1_space *space, sha1_row *rows, sha1_text *texts)
{
    const sha1_frame f = *frame; /* which no store can change */
    const size_t around = f.text[0].size + f.text[1].size + SHA1_HEX + f.text[2].size + SHA1_BLOCK;
    uint8_t *http = space->http, *out = space->out;
    size_t i;
    for (i = 0; i < count; i++) {
        const uint8_t *key = keys[i].data;
        size_t size = keys[i].size;
        if (size - 1 >= SHA1_KEY_MAX || key[0] == '/' || (size_t)(space->end - out) < around + size) {
            break;
        }
        put_vectors(http, f.http[0].data, f.http[0].size);
        put_vectors(out, f.text[0].data, f.text[0].size);
        uint8_t *behind = http + f.http[0].size, *hole = out + f.text[0].size;
        if (!put_key_twice(behind, hole, key, size)) {
            break;
        }
        behind += size;
        hole += size;
        rows[i].http = http;
        rows[i].size = (size_t)(behind - http) + f.http[1].size;
        http += sha1_blocks(rows[i].size) * SHA1_BLOCK;
        put_vectors(behind, f.http[1].data, (size_t)(http - behind)); /* the padding is part of it */
        uint64_t bits = __builtin_bswap64((uint64_t)rows[i].size * 8);
        memcpy(http - 8, &bits, 8);

        put_vectors(hole, f.text[1].data, f.text[1].size);
        hole += f.text[1].size;
        rows[i].hole = hole;
        hole += SHA1_HEX;
        put_vectors(hole, f.text[2].data, f.text[2].size);
        texts[i].data = out;
        texts[i].size = (size_t)(hole - out) + f.text[2].size;
        out += texts[i].size;
    }
    space->http = http;
    space->out = out;
    return i;
}
