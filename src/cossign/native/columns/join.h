/* Rows of columns written as text: CSV or JSON lines. */
#ifndef COSSIGN_JOIN_H
#define COSSIGN_JOIN_H

#include "texts.h"

typedef enum {
    JOIN_PLAIN, /* as it is; a null is empty */
    JOIN_CSV,   /* in quotes if it holds a quote, the delimiter ',', CR or LF (RFC 4180); a null is empty */
    JOIN_JSON,  /* a string of UTF-8 (RFC 8259); a null is null */
    JOIN_URL,   /* as JOIN_JSON, of bytes that need no escape */
    JOIN_VALUE  /* as it is; a null is null */
} JoinForm;

/* What each row has: a text of a column, after text that all rows have. */
typedef struct {
    Text before;
    const uint8_t *data;
    const int32_t *offsets; /* NULL: there is only the text before */
    const uint8_t *valid;   /* a bit for each row, as Arrow has them; NULL if no row is null */
    int64_t first_bit;
    JoinForm form;
} JoinPiece;

/* Put rows from `row` on, as many as are sure to fit. Returns the bytes, and sets `row` to the first that was not put. */
size_t join_rows(const JoinPiece *pieces, int count, int64_t *row, int64_t rows, uint8_t *out, size_t room);

/* How many bytes a row may have at most. */
size_t join_bound(const JoinPiece *pieces, int count, int64_t row);

#endif
