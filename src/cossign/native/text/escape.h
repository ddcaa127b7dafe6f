/* Percent-encoding and hex digits. */
#ifndef COSSIGN_ESCAPE_H
#define COSSIGN_ESCAPE_H

#include "scan.h"

#include <assert.h>

#define UPPER_HEX "0123456789ABCDEF"

/* Where a text will stand: a component is a name or a value; a path keeps its slashes. */
enum { COMPONENT, PATH };

/* What stands for a byte: the byte itself, or %XX. */
typedef struct {
    uint8_t text[3];
    uint8_t size;
} Escape;
static_assert(sizeof(Escape) == 4, "put_encoded copies an Escape whole");
static_assert(TEXT_SLACK >= 16, "put_encoded and put_key copy 16 bytes at a time");

extern const Escape escapes_of[2][256];

/* Percent-encode text that may end where readable memory ends. Writes at most 3 * text.size bytes, and TEXT_SLACK more
   without meaning. Returns the end. */
ALWAYS_INLINE uint8_t *put_encoded(uint8_t *out, Text text, int where)
{
    const Escape *escapes = escapes_of[where];
    size_t i = 0;
    while (i < text.size) {
        if (text.size - i >= 16 && scan_safe(text.data + i, where == PATH)) {
            memcpy(out, text.data + i, 16);
            out += 16;
            i += 16;
            continue;
        }
        size_t end = text.size - i < 16 ? text.size : i + 16;
        for (; i < end; i++) {
            const Escape *escape = &escapes[text.data[i]];
            memcpy(out, escape, 4);
            out += escape->size;
        }
    }
    return out;
}

/* Whether a text is as `put_encoded` would leave it. */
static inline int needs_no_escape(Text text, int where)
{
    for (size_t i = 0; i < text.size; i++) {
        if (escapes_of[where][text.data[i]].size != 1) {
            return 0;
        }
    }
    return 1;
}

/* The value of a hex digit of either case; less than 0 for another byte. */
static inline int hex_digit(uint8_t byte)
{
    /* clang-format off */
    static const uint8_t values[256] = { /* and 16 more; 0 for other bytes */
        ['0'] = 16, ['1'] = 17, ['2'] = 18, ['3'] = 19, ['4'] = 20, ['5'] = 21, ['6'] = 22, ['7'] = 23, ['8'] = 24,
        ['9'] = 25, ['A'] = 26, ['B'] = 27, ['C'] = 28, ['D'] = 29, ['E'] = 30, ['F'] = 31, ['a'] = 26, ['b'] = 27,
        ['c'] = 28, ['d'] = 29, ['e'] = 30, ['f'] = 31,
    };
    /* clang-format on */
    return (int)values[byte] - 16;
}

/* The byte that an escape (%XX) stands for; -1 if a text does not begin with one. */
static inline int escaped_byte(Text text)
{
    if (text.size < 3 || text.data[0] != '%') {
        return -1;
    }
    int high = hex_digit(text.data[1]), low = hex_digit(text.data[2]);
    return (high | low) < 0 ? -1 : high << 4 | low;
}

/* Percent-decode; what is not a valid escape stays as it is. `plus_is_space` is for queries, which HTML forms write so.
   Writes at most text.size bytes, also over the text itself. Returns the end. */
static inline uint8_t *put_decoded(uint8_t *out, Text text, int plus_is_space)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        if (byte == '%') {
            int escaped = escaped_byte((Text){text.data + i, text.size - i});
            if (escaped >= 0) {
                byte = (uint8_t)escaped;
                i += 2;
            }
        } else if (byte == '+' && plus_is_space) {
            byte = ' ';
        }
        *out++ = byte;
    }
    return out;
}

/* Whether a value is percent-encoded as `put_encoded` does it: nothing more, nothing less, in upper-case digits. */
static inline int is_canonical(Text text)
{
    while (text.size) {
        size_t size = 1;
        if (escapes_of[COMPONENT][text.data[0]].size != 1) {
            int byte = escaped_byte(text);
            if (byte < 0 || escapes_of[COMPONENT][byte].size == 1
                || memcmp(escapes_of[COMPONENT][byte].text, text.data, 3) != 0) {
                return 0;
            }
            size = 3;
        }
        text = (Text){text.data + size, text.size - size};
    }
    return 1;
}

#endif
