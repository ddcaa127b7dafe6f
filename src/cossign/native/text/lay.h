/* The usual row laid out in whole vectors: what an engine instantiates.

   An instantiation defines LANES and TARGET as for lanes.h, and LAY (the function's name). Where its vectors are wider
   than put_key's it defines masks, too: UNSAFE of the bytes that need an escape, EQUAL of those that are a character,
   RANGE of those among `count` from `first` on; and PICK, which takes bytes of a table by number. LOAD is for those that
   can read the first bytes of a vector alone. */
#include "escape.h"
#include "frame.h"

enum { KEYS_AHEAD = 2048 }; /* bytes from a key to those that are fetched already: a column's lie one after the other */

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

/* WIDTH bytes after `text` are readable, and after `out` writable. */
LINE void put_vectors(uint8_t *out, const uint8_t *text, size_t size)
{
    for (size_t i = 0; i < size; i += WIDTH) {
        put_vector(out + i, load_bytes(text + i));
    }
}

#ifdef UNSAFE
#define ALL (~(uint64_t)0 >> (64 - WIDTH))

/* The dots that begin a segment; `after_slash` is for the part's first byte, then for the next part's. */
LINE uint64_t leading_dots(bytes part, uint64_t *after_slash)
{
    uint64_t slashes = EQUAL(part, '/'), dots = EQUAL(part, '.') & (slashes << 1 | *after_slash);
    *after_slash = slashes >> (WIDTH - 1);
    return dots;
}

/* For each choice among 4 bytes, how they and their escapes are taken out of: the bytes, the upper hex digits, the
   lower ones, percent signs. The last entry is how many that are. */
static const uint8_t escapes[16][16] = {
    {0, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4},
    {12, 4, 8, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6},
    {0, 12, 5, 9, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6},
    {12, 4, 8, 12, 5, 9, 2, 3, 0, 0, 0, 0, 0, 0, 0, 8},
    {0, 1, 12, 6, 10, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6},
    {12, 4, 8, 1, 12, 6, 10, 3, 0, 0, 0, 0, 0, 0, 0, 8},
    {0, 12, 5, 9, 12, 6, 10, 3, 0, 0, 0, 0, 0, 0, 0, 8},
    {12, 4, 8, 12, 5, 9, 12, 6, 10, 3, 0, 0, 0, 0, 0, 10},
    {0, 1, 2, 12, 7, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6},
    {12, 4, 8, 1, 2, 12, 7, 11, 0, 0, 0, 0, 0, 0, 0, 8},
    {0, 12, 5, 9, 2, 12, 7, 11, 0, 0, 0, 0, 0, 0, 0, 8},
    {12, 4, 8, 12, 5, 9, 2, 12, 7, 11, 0, 0, 0, 0, 0, 10},
    {0, 1, 12, 6, 10, 12, 7, 11, 0, 0, 0, 0, 0, 0, 0, 8},
    {12, 4, 8, 1, 12, 6, 10, 12, 7, 11, 0, 0, 0, 0, 0, 10},
    {0, 12, 5, 9, 12, 6, 10, 12, 7, 11, 0, 0, 0, 0, 0, 10},
    {12, 4, 8, 12, 5, 9, 12, 6, 10, 12, 7, 11, 0, 0, 0, 12},
};

/* Percent-encode 16 bytes, those of a mask; up to 52 are written. */
LINE void put_escapes(uint8_t *out, scan_bytes text, uint64_t unsafe)
{
    typedef uint32_t words __attribute__((vector_size(16)));
    const scan_bytes digits = scan_load((const uint8_t *)UPPER_HEX);
    const words percent =
        (words)(scan_bytes){'%', '%', '%', '%', '%', '%', '%', '%', '%', '%', '%', '%', '%', '%', '%', '%'};
    words plain = (words)text, high = (words)PICK(digits, text >> 4), low = (words)PICK(digits, text & 15);
    words left[2] = {
        __builtin_shufflevector(plain, high, 0, 4, 1, 5), __builtin_shufflevector(plain, high, 2, 6, 3, 7)};
    words right[2] = {
        __builtin_shufflevector(low, percent, 0, 4, 1, 5), __builtin_shufflevector(low, percent, 2, 6, 3, 7)};
    for (int i = 0; i < 4; i++) {
        const uint8_t *order = escapes[unsafe >> 4 * i & 15];
        words four = i & 1 ? __builtin_shufflevector(left[i / 2], right[i / 2], 2, 3, 6, 7)
                           : __builtin_shufflevector(left[i / 2], right[i / 2], 0, 1, 4, 5);
        scan_bytes taken = PICK((scan_bytes)four, scan_load(order));
        memcpy(out, &taken, 16);
        out += order[15];
    }
}

enum { FEW_ESCAPES = 4 }; /* in a vector: so many are put one by one */

/* Percent-encode a key, in memory of our own if there is no LOAD. Returns the end; or NULL if it is not UTF-8, or COS
   would refuse it.
   SHA1_BLOCK bytes after the end may be overwritten. */
LINE uint8_t *put_escaped(uint8_t *out, const uint8_t *key, size_t size)
{
    uint64_t after_slash = 1, due = 0, odd = key[0] == '\\', doubtful = 0;
    for (size_t i = 0; i < size; i += WIDTH) {
        size_t left = size - i < WIDTH ? size - i : WIDTH;
        uint64_t here = ALL >> (WIDTH - left);
#ifdef LOAD
        bytes part = LOAD(key + i, here);
#else
        bytes part = load_bytes(key + i);
#endif
        odd |= (RANGE(part, KEY_CONTROL_FIRST, KEY_CONTROLS) | leading_dots(part, &after_slash)) & here;

        uint64_t high = RANGE(part, 0x80, 0x80) & here;
        if (high | due) { /* UTF-8 of the usual kind, two bytes or three; E0, ED and F0 to F4 have rules of their own */
            uint64_t three = RANGE(part, 0xe1, 15) & ~EQUAL(part, 0xed) & here;
            uint64_t first = (RANGE(part, 0xc2, 30) & here) | three, following = RANGE(part, 0x80, 0x40) & here;
            doubtful |= ((due | first << 1 | three << 2) ^ following) & ALL;
            doubtful |= high & ~(first | following);
            due = first >> (WIDTH - 1) | three >> (WIDTH - 2);
        }

        uint64_t unsafe = UNSAFE(part) & here;
#ifdef LOAD
        if (__builtin_popcountll(unsafe) <= FEW_ESCAPES) { /* what stands between them is copied whole */
            put_vector(out, part);
            while (unsafe) {
                size_t at = (size_t)__builtin_ctzll(unsafe);
                uint8_t *escape = out + at;
                put_vector(escape + 3, LOAD(key + i + at + 1, here >> at >> 1));
                escape[0] = '%';
                escape[1] = (uint8_t)UPPER_HEX[key[i + at] >> 4];
                escape[2] = (uint8_t)UPPER_HEX[key[i + at] & 15];
                out += 2;
                unsafe &= unsafe - 1;
            }
            out += left;
            continue;
        }
#endif
        scan_bytes pieces[WIDTH / 16];
        memcpy(pieces, &part, WIDTH);
        for (size_t j = 0; j < left; j += 16) {
            uint64_t mask = unsafe >> j & 0xffff;
            put_escapes(out, pieces[j / 16], mask);
            out += (left - j < 16 ? left - j : 16) + 2 * (size_t)__builtin_popcountll(mask);
        }
    }
    return odd || ((doubtful | due) && !scan_utf8(key, size)) ? NULL : out;
}
#endif

#ifdef LOAD
/* A row's HttpString and its padding, a block at a time, and its key in the URL; whether the key is plain. WIDTH bytes
   after the URL's key are writable. */
LINE int put_row(uint8_t *http, uint8_t *hole, const uint8_t *key, size_t size, const Frame *f)
{
    const size_t start = f->http[0].size, end = start + size; /* of the key; start < WIDTH */
    const size_t blocks = sha1_blocks(end + f->http[1].size) * SHA1_BLOCK;
    const uint8_t *tail = f->http[1].data;
    uint64_t marks = 0, after_slash = (uint64_t)1 << start, from = ALL << start;
    bytes head = LOAD(f->http[0].data, ~from);
    size_t i = 0;
    for (; i < end; i += WIDTH) {
        uint64_t before = end - i < WIDTH ? ~(ALL << (end - i)) : ALL, inside = from & before;
        bytes part = LOAD(key + i - start, inside);
        marks |= (UNSAFE(part) | leading_dots(part, &after_slash)) & inside;
        put_vector(http + i, head | part | LOAD(tail + i - end, ~before));
        head = (bytes){0};
        from = ALL;
    }
    for (; i < blocks; i += WIDTH) {
        put_vector(http + i, load_bytes(tail + i - end));
    }
    for (i = 0; i < size; i += WIDTH) {
        put_vector(hole + i, LOAD(key + i, size - i < WIDTH ? ALL >> (WIDTH - (size - i)) : ALL));
    }
    return marks == 0;
}
#else
/* put_key to two places; WIDTH bytes after both are writable. */
LINE int put_key_twice(uint8_t *one, uint8_t *other, const uint8_t *key, size_t size)
{
#ifdef UNSAFE
    if (size >= WIDTH) {
        uint64_t marks = 0, after_slash = 1;
        for (size_t i = 0; i < size; i += WIDTH) {
            if (size - i < WIDTH) { /* the last part overlaps the one before */
                i = size - WIDTH;
                after_slash = key[i - 1] == '/';
            }
            bytes part = load_bytes(key + i);
            marks |= UNSAFE(part) | leading_dots(part, &after_slash);
            put_vector(one + i, part);
            put_vector(other + i, part);
        }
        return (marks & ALL) == 0;
    }
#endif
    put_exact(other, key, size);
    return put_key(one, key, size);
}

LINE int put_row(uint8_t *http, uint8_t *hole, const uint8_t *key, size_t size, const Frame *f)
{
    put_vectors(http, f->http[0].data, f->http[0].size);
    http += f->http[0].size;
    int plain = put_key_twice(http, hole, key, size);
    size_t used = f->http[0].size + size;
    put_vectors(http + size, f->http[1].data, sha1_blocks(used + f->http[1].size) * SHA1_BLOCK - used);
    return plain;
}
#endif

TARGET size_t LAY(const Frame *frame, const Text *keys, size_t count, Space *space, sha1_row *rows, Text *texts)
{
    const Frame f = *frame; /* which no store can change */
    const size_t around = f.text[0].size + f.text[1].size + SHA1_HEX + f.text[2].size + SHA1_BLOCK;
    uint8_t *http = space->http, *out = space->out;
    size_t i;
#ifdef LOAD
    count = f.http[0].size < WIDTH ? count : 0;
#endif
    for (i = 0; i < count; i++) {
        const uint8_t *key = keys[i].data;
        size_t size = keys[i].size;
        text_soon(key + KEYS_AHEAD, 2 * SHA1_BLOCK);
        if (size - 1 >= KEY_MAX || key[0] == '/' || (size_t)(space->end - out) < around + size) {
            break;
        }
        put_vectors(out, f.text[0].data, f.text[0].size);
        uint8_t *hole = out + f.text[0].size;
        if (put_row(http, hole, key, size, &f)) {
            hole += size;
        } else {
#ifdef UNSAFE
            if (!f.escapes || (size_t)(space->end - out) < around + 3 * size) {
                break;
            }
#ifdef LOAD
            hole = put_escaped(hole, key, size);
#else
            hole = put_escaped(hole, http + f.http[0].size, size); /* it may be read in whole vectors there */
#endif
            if (hole == NULL) {
                break;
            }
#else
            break;
#endif
        }
        rows[i].http = http;
        rows[i].size = f.http[0].size + size + f.http[1].size;
        http += sha1_blocks(rows[i].size) * SHA1_BLOCK;
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
