/* Bytes classified a vector at a time: those that are safe in a URL, keys that may be odd, and UTF-8. */
#ifndef COSSIGN_SCAN_H
#define COSSIGN_SCAN_H

#include "names.h"
#include "text.h"

/* Whether a byte stays as it is in a URL's path: A-Z a-z 0-9 - . / _ ~. In a component (a name or a value) the slash
   does not. `type` is a byte's type, or a vector's of them: differences wrap around in both, so that each range is one
   comparison; - . / and 0-9 are neighbours. */
#define SAFE(type, byte)                                                                                    \
    ((type)((type)(((byte) | 0x20) - 'a') < 26) | (type)((type)((byte) - '-') < 13) | (type)((byte) == '_') \
        | (type)((byte) == '~'))

/* The same for engines that look bytes up 16 at a time: a byte is safe if the entries of its lower half and of its upper
   half have a bit in common. The check program compares the two for every byte. */
#define SAFE_LOW 26, 30, 30, 30, 30, 30, 30, 30, 30, 30, 28, 4, 4, 5, 21, 13
#define SAFE_HIGH 0, 0, 1, 2, 4, 8, 4, 16, 0, 0, 0, 0, 0, 0, 0, 0

#ifdef GNU_C
typedef uint8_t scan_bytes __attribute__((vector_size(16)));
typedef uint64_t scan_words __attribute__((vector_size(16)));

ALWAYS_INLINE scan_bytes scan_load(const uint8_t *data)
{
    scan_bytes bytes;
    memcpy(&bytes, data, 16);
    return bytes;
}

ALWAYS_INLINE int scan_any(scan_bytes bytes)
{
    scan_words words = (scan_words)bytes;
    return (words[0] | words[1]) != 0;
}

/* Whether all of 16 bytes stay as they are in a path, or in a component, which has no slash. */
static inline int scan_safe(const uint8_t *data, int path)
{
    scan_bytes bytes = scan_load(data);
    scan_bytes slashes = path ? (scan_bytes){0} : (scan_bytes)(bytes == '/');
    return !scan_any(~SAFE(scan_bytes, bytes) | slashes);
}

/* Whether a key may break a naming rule within itself: it holds a control byte that COS forbids, or a segment that begins
   with a dot. A slash stands before it. The 15 bytes after it are looked at, too: a yes only means that `key_fault` must
   look. */
static inline int scan_odd(const uint8_t *key, size_t size)
{
    scan_bytes marks = {0};
    for (size_t i = 0; i < size; i += 16) {
        scan_bytes bytes = scan_load(key + i), before = scan_load(key + i - 1);
        marks |= (scan_bytes)((bytes - KEY_CONTROL_FIRST) < KEY_CONTROLS)
                 | ((scan_bytes)(bytes == '.') & (scan_bytes)(before == '/'));
    }
    return scan_any(marks);
}

#if defined(__SSE2__)
#include <emmintrin.h>
#define SCAN_SHIFTED(bytes) ((scan_bytes)_mm_slli_si128((__m128i)(bytes), 1))
#elif __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
ALWAYS_INLINE scan_bytes scan_shifted(scan_bytes bytes)
{
    scan_words words = (scan_words)bytes;
    return (scan_bytes)(scan_words){words[0] << 8, words[1] << 8 | words[0] >> 56};
}
#define SCAN_SHIFTED(bytes) scan_shifted(bytes)
#endif
#endif

#ifdef SCAN_SHIFTED
/* Copy a key. Returns whether all its bytes are safe and no segment begins with a dot: then it breaks no naming rule
   within itself. */
ALWAYS_INLINE int put_key(uint8_t *out, const uint8_t *key, size_t size)
{
    const scan_bytes slash = {'/'};
    scan_bytes bytes, before, marks;
    if (size < 16) {
        memset(&bytes, 'a', 16);
        uint8_t *start = (uint8_t *)&bytes;
        for (size_t i = 0; i < size; i++) {
            start[i] = key[i];
            out[i] = key[i];
        }
        before = SCAN_SHIFTED(bytes) | slash;
        return !scan_any(~SAFE(scan_bytes, bytes) | ((scan_bytes)(bytes == '.') & (scan_bytes)(before == '/')));
    }
    bytes = scan_load(key);
    before = SCAN_SHIFTED(bytes) | slash;
    memcpy(out, &bytes, 16);
    marks = ~SAFE(scan_bytes, bytes) | ((scan_bytes)(bytes == '.') & (scan_bytes)(before == '/'));
    for (size_t i = 16; i < size; i += 16) {
        size_t at = i + 16 <= size ? i : size - 16;
        bytes = scan_load(key + at);
        before = scan_load(key + at - 1);
        memcpy(out + at, &bytes, 16);
        marks |= ~SAFE(scan_bytes, bytes) | ((scan_bytes)(bytes == '.') & (scan_bytes)(before == '/'));
    }
    return !scan_any(marks);
}
#else
ALWAYS_INLINE int put_key(uint8_t *out, const uint8_t *key, size_t size)
{
    put_exact(out, key, size);
    return 0;
}
#endif

#ifndef GNU_C
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
