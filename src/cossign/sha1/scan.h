/* Text moved and classified a vector at a time. */
#ifndef COSSIGN_SCAN_H
#define COSSIGN_SCAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    SCAN_SLACK = 64 /* bytes that may be read behind a text, and written behind what was put */
};

/* Always in its caller: a function of its own would have the instructions of every x86-64, and an engine that calls it
   with half-used AVX registers waits for them, some 60 ns each time on Intel's CPUs. */
#if defined(__GNUC__)
#define SCAN static inline __attribute__((always_inline))
#else
#define SCAN static inline
#endif

/* Bring text into the caches that will be read soon. */
SCAN void scan_soon(const void *text, size_t size)
{
#if defined(__GNUC__)
    for (size_t i = 0; i < size; i += 64) {
        __builtin_prefetch((const uint8_t *)text + i);
    }
#else
    (void)text;
    (void)size;
#endif
}

/* Copy in fixed pieces: SCAN_SLACK bytes behind `text` must be readable, and behind `out` writable. */
SCAN uint8_t *put_text(uint8_t *out, const uint8_t *text, size_t size)
{
    for (size_t i = 0; i < size; i += 32) {
        memcpy(out + i, text + i, 32);
    }
    return out + size;
}

/* Copy text that may end where readable memory ends. */
SCAN uint8_t *put_exact(uint8_t *out, const uint8_t *text, size_t size)
{
    if (size >= 16) {
        for (size_t i = 0; i + 16 < size; i += 16) {
            memcpy(out + i, text + i, 16);
        }
        memcpy(out + size - 16, text + size - 16, 16);
    } else if (size >= 8) {
        memcpy(out, text, 8);
        memcpy(out + size - 8, text + size - 8, 8);
    } else {
        for (size_t i = 0; i < size; i++) {
            out[i] = text[i];
        }
    }
    return out + size;
}

/* A byte stays as it is in a path if the entries of its lower half and of its upper half have a bit in common. */
#define SCAN_LOW 26, 30, 30, 30, 30, 30, 30, 30, 30, 30, 28, 4, 4, 5, 21, 13
#define SCAN_HIGH 0, 0, 1, 2, 4, 8, 4, 16, 0, 0, 0, 0, 0, 0, 0, 0

#if defined(__GNUC__)
typedef uint8_t scan_bytes __attribute__((vector_size(16)));
typedef uint64_t scan_words __attribute__((vector_size(16)));

SCAN scan_bytes scan_load(const uint8_t *data)
{
    scan_bytes bytes;
    memcpy(&bytes, data, 16);
    return bytes;
}

SCAN int scan_any(scan_bytes bytes)
{
    scan_words words = (scan_words)bytes;
    return (words[0] | words[1]) != 0;
}

/* Where a byte is none of A-Z a-z 0-9 - . / _ ~; wrapped differences make each range one comparison. */
SCAN scan_bytes scan_unsafe(scan_bytes bytes)
{
    scan_bytes letter = (scan_bytes)(((bytes | 0x20) - 'a') < 26);
    scan_bytes digit = (scan_bytes)((bytes - '-') < 13); /* - . / and 0-9 are neighbours */
    return ~(letter | digit | (scan_bytes)(bytes == '_') | (scan_bytes)(bytes == '~'));
}

/* Whether all of 16 bytes stay as they are in a path, or in a component, which has no slash. */
static inline int scan_safe(const uint8_t *data, int path)
{
    scan_bytes bytes = scan_load(data);
    scan_bytes slashes = path ? (scan_bytes){0} : (scan_bytes)(bytes == '/');
    return !scan_any(scan_unsafe(bytes) | slashes);
}

/* Whether a key may hold one of the control bytes 18-1B hex, or a segment that begins with a dot. A slash stands before
   it; what stands in the 15 bytes behind it may be found, too. */
static inline int scan_odd(const uint8_t *key, size_t size)
{
    scan_bytes found = {0};
    for (size_t i = 0; i < size; i += 16) {
        scan_bytes bytes = scan_load(key + i), before = scan_load(key + i - 1);
        found |= (scan_bytes)((bytes - 0x18) < 4) | ((scan_bytes)(bytes == '.') & (scan_bytes)(before == '/'));
    }
    return scan_any(found);
}

#if defined(__SSE2__)
#include <emmintrin.h>
#define SCAN_SHIFTED(bytes) ((scan_bytes)_mm_slli_si128((__m128i)(bytes), 1))
#elif __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
SCAN scan_bytes scan_shifted(scan_bytes bytes)
{
    scan_words words = (scan_words)bytes;
    return (scan_bytes)(scan_words){words[0] << 8, words[1] << 8 | words[0] >> 56};
}
#define SCAN_SHIFTED(bytes) scan_shifted(bytes)
#endif
#endif

#ifdef SCAN_SHIFTED
/* Copy a key, and tell whether it stays as it is in a path and has no segment that begins with a dot. */
SCAN int put_key(uint8_t *out, const uint8_t *key, size_t size)
{
    const scan_bytes slash = {'/'};
    scan_bytes bytes, before, found;
    if (size < 16) {
        memset(&bytes, 'a', 16);
        uint8_t *start = (uint8_t *)&bytes;
        for (size_t i = 0; i < size; i++) {
            start[i] = key[i];
            out[i] = key[i];
        }
        before = SCAN_SHIFTED(bytes) | slash;
        return !scan_any(scan_unsafe(bytes) | ((scan_bytes)(bytes == '.') & (scan_bytes)(before == '/')));
    }
    bytes = scan_load(key);
    before = SCAN_SHIFTED(bytes) | slash;
    memcpy(out, &bytes, 16);
    found = scan_unsafe(bytes) | ((scan_bytes)(bytes == '.') & (scan_bytes)(before == '/'));
    for (size_t i = 16; i < size; i += 16) {
        size_t at = i + 16 <= size ? i : size - 16;
        bytes = scan_load(key + at);
        before = scan_load(key + at - 1);
        memcpy(out + at, &bytes, 16);
        found |= scan_unsafe(bytes) | ((scan_bytes)(bytes == '.') & (scan_bytes)(before == '/'));
    }
    return !scan_any(found);
}
#else
SCAN int put_key(uint8_t *out, const uint8_t *key, size_t size)
{
    put_exact(out, key, size);
    return 0;
}
#endif

#if !defined(__GNUC__)
static inline int scan_safe(const uint8_t *data, int path)
{
    (void)data;
    (void)path;
    return 0;
}

static inline int scan_odd(const uint8_t *key, size_t size)
{
    (void)key;
    (void)size;
    return 1;
}
#endif

/* Whether bytes are UTF-8 (RFC 3629): no overlong form, no surrogate, nothing above U+10FFFF. */
static inline int scan_utf8(const uint8_t *data, size_t size)
{
    size_t i = 0;
    while (i < size) {
        uint64_t eight;
        if (size - i >= 8) {
            memcpy(&eight, data + i, 8);
            if ((eight & 0x8080808080808080u) == 0) {
                i += 8;
                continue;
            }
        }
        if (size - i >= 3 && (data[i] & 0xf0) == 0xe0 && (data[i + 1] & data[i + 2] & 0xc0) == 0x80
            && ((data[i + 1] | data[i + 2]) & 0x40) == 0) { /* three bytes, as most of Chinese: often many in a row */
            if ((data[i] == 0xe0 && data[i + 1] < 0xa0) || (data[i] == 0xed && data[i + 1] > 0x9f)) {
                return 0;
            }
            i += 3;
            continue;
        }
        uint8_t first = data[i++];
        uint8_t low = 0x80, high = 0xbf; /* of the second byte */
        int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
        if (first < 0x80) {
            continue;
        }
        if (first < 0xc2 || first > 0xf4) {
            return 0;
        }
        low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : low;
        high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : high;
        for (; more; more--) {
            if (i == size || data[i] < low || data[i] > high) {
                return 0;
            }
            i++;
            low = 0x80;
            high = 0xbf;
        }
    }
    return 1;
}

#endif
