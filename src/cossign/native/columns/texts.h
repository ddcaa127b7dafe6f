/* Columns of texts that are being filled, as Arrow's binary arrays hold them; and bytes looked for, several at a time. */
#ifndef COSSIGN_TEXTS_H
#define COSSIGN_TEXTS_H

#include "../text/text.h"

#include <assert.h>

/* A column: text i is data[offsets[i]] to data[offsets[i + 1]]. */
typedef struct {
    uint8_t *data;
    int32_t *offsets;
    uint8_t *valid; /* a bit for each row, as Arrow has them; NULL if no row is null */
    size_t room;    /* bytes of data; TEXT_SLACK more may be written */
    int64_t places; /* numbers that offsets has room for, one more than rows */
} TextColumn;

/* Why reading rows into columns has stopped. */
typedef enum {
    ROWS_END,  /* no whole row follows */
    ROWS_FULL, /* the columns have room for no more */
    ROWS_ODD   /* the next row is not as usual: its reader tells what that is */
} RowsStop;

typedef struct {
    size_t size;         /* bytes of the block that were read: whole rows, and empty lines */
    int64_t rows;        /* in the columns now */
    int64_t empty_lines; /* which are not rows */
    int64_t plus_signs;  /* percent-encoded texts that have one */
} RowsCounts;

/* Whether the columns have room for one more row after `rows`, whose texts have at most `most` bytes each. */
static inline int columns_have_room(const TextColumn *columns, int count, int64_t rows, size_t most)
{
    for (int i = 0; i < count; i++) {
        if (rows + 1 >= columns[i].places || most > columns[i].room - (size_t)columns[i].offsets[rows]) {
            return 0;
        }
    }
    return 1;
}

/* The lowest bit that is set; there is one. */
ALWAYS_INLINE size_t first_bit(uint64_t bits)
{
#ifdef GNU_C
    return (size_t)__builtin_ctzll(bits);
#else
    size_t place = 0;
    for (; !(bits & 1); bits >>= 1) {
        place++;
    }
    return place;
#endif
}

/* Bytes are looked for so many at a time. */
#if defined(__SSE2__)
#include <emmintrin.h>
enum { BYTES_STEP = 16 };
typedef __m128i bytes_step;
typedef uint32_t bytes_marks; /* a bit for each byte */

ALWAYS_INLINE bytes_step bytes_load(const uint8_t *text)
{
    return _mm_loadu_si128((const __m128i *)(const void *)text);
}

ALWAYS_INLINE bytes_marks bytes_equal(bytes_step bytes, uint8_t byte)
{
    return (bytes_marks)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8((char)byte)));
}

/* Those that are less than 32. */
ALWAYS_INLINE bytes_marks bytes_control(bytes_step bytes)
{
    return (bytes_marks)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_max_epu8(bytes, _mm_set1_epi8(31)), _mm_set1_epi8(31)));
}

ALWAYS_INLINE void bytes_store(uint8_t *out, bytes_step bytes)
{
    _mm_storeu_si128((__m128i *)(void *)out, bytes);
}

/* The lowest byte that is marked. */
ALWAYS_INLINE size_t bytes_first(bytes_marks marks)
{
    return first_bit(marks);
}

/* A bit for each byte that is marked. */
ALWAYS_INLINE uint64_t bytes_bits(bytes_step bytes, uint8_t byte)
{
    return bytes_equal(bytes, byte);
}
#else
enum { BYTES_STEP = 8 };
typedef uint64_t bytes_step;
typedef uint64_t bytes_marks; /* the top bit of each byte; above the lowest one that is set they may be wrong */

#define EACH_BYTE(byte) (0x0101010101010101u * (uint8_t)(byte))

ALWAYS_INLINE bytes_step bytes_load(const uint8_t *text)
{
    uint64_t bytes;
    memcpy(&bytes, text, 8);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    bytes = __builtin_bswap64(bytes);
#endif
    return bytes;
}

ALWAYS_INLINE bytes_marks bytes_zero(bytes_step bytes)
{
    return (bytes - EACH_BYTE(1)) & ~bytes & EACH_BYTE(0x80);
}

ALWAYS_INLINE bytes_marks bytes_equal(bytes_step bytes, uint8_t byte)
{
    return bytes_zero(bytes ^ EACH_BYTE(byte));
}

ALWAYS_INLINE bytes_marks bytes_control(bytes_step bytes)
{
    return bytes_zero(bytes & EACH_BYTE(0xe0));
}

ALWAYS_INLINE void bytes_store(uint8_t *out, bytes_step bytes)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    bytes = __builtin_bswap64(bytes);
#endif
    memcpy(out, &bytes, 8);
}

ALWAYS_INLINE size_t bytes_first(bytes_marks marks)
{
    return first_bit(marks) >> 3;
}

/* Exact for every byte: no sum carries into the next one. The product gathers the top bits. */
ALWAYS_INLINE uint64_t bytes_bits(bytes_step bytes, uint8_t byte)
{
    uint64_t different = bytes ^ EACH_BYTE(byte);
    uint64_t equal = ~(((different & EACH_BYTE(0x7f)) + EACH_BYTE(0x7f)) | different | EACH_BYTE(0x7f));
    return ((equal >> 7) * 0x0102040810204080u) >> 56;
}
#endif

enum { WINDOW = 64 }; /* bytes, a bit for each */
static_assert(TEXT_SLACK >= 64, "a window may begin at the last byte of a text");

/* Which bytes of a window are equal to one. */
ALWAYS_INLINE uint64_t window_equal(const uint8_t *text, uint8_t byte)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < WINDOW; i += BYTES_STEP) {
        bits |= bytes_bits(bytes_load(text + i), byte) << i;
    }
    return bits;
}

#endif
