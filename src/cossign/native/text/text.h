/* Text, and how it is copied. */
#ifndef COSSIGN_TEXT_H
#define COSSIGN_TEXT_H

#include "../compiler.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    TEXT_SLACK = 64 /* bytes that may be read after a text of ours, and written after what was put */
};

typedef struct {
    const uint8_t *data; /* NULL where a row has none */
    size_t size;
} Text;

/* All that rows need is always inlined: a function of its own would have the instructions of every x86-64, and an engine
   that calls it with half-used AVX registers waits for them, some 60 ns each time on Intel's CPUs. */

/* Bring text into the caches that will be read soon. */
ALWAYS_INLINE void text_soon(const void *text, size_t size)
{
#ifdef GNU_C
    for (size_t i = 0; i < size; i += 64) {
        __builtin_prefetch((const uint8_t *)text + i);
    }
#else
    (void)text;
    (void)size;
#endif
}

/* Copy in fixed pieces: TEXT_SLACK bytes after `text` must be readable, and after `out` writable. */
ALWAYS_INLINE uint8_t *put_text(uint8_t *out, const uint8_t *text, size_t size)
{
    for (size_t i = 0; i < size; i += 32) {
        memcpy(out + i, text + i, 32);
    }
    return out + size;
}

/* Copy text that may end where readable memory ends. */
ALWAYS_INLINE uint8_t *put_exact(uint8_t *out, const uint8_t *text, size_t size)
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

/* Write a number's decimal digits, at most 20; returns how many. */
static inline size_t put_number(uint8_t *out, uint64_t number)
{
    uint8_t digits[20];
    size_t size = 0;
    do {
        digits[size++] = (uint8_t)('0' + number % 10);
        number /= 10;
    } while (number);
    for (size_t i = 0; i < size; i++) {
        out[i] = digits[size - 1 - i];
    }
    return size;
}

#endif
