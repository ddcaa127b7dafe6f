/* Blocks of text taken apart into lines, and where the last whole row of CSV ends. */
#ifndef COSSIGN_LINES_H
#define COSSIGN_LINES_H

#include "../text/text.h"

/* What the lines of a block are like. */
typedef struct {
    int64_t lines;      /* all of them */
    int64_t rows;       /* those that are given */
    int64_t blank_ends; /* rows that end with a blank or a tab */
    int64_t inner_crs;  /* rows with a CR before their end */
    int64_t addresses;  /* rows that begin with a scheme and "://" (RFC 3986, section 3.1) */
} LineCounts;

/* The lines of a block of less than 2 GiB, without empty ones unless they are kept, as Arrow's views into it, four numbers a line. They end with
   "\n" or "\r\n"; the last one need not. Returns memory of malloc's, and adds to `counts`; NULL without memory. */
int32_t *lines_views(Text block, int keep_empty, LineCounts *counts);

/* The same counts of a column of texts, which lie one after the other: offsets[i] to offsets[i + 1] of `data`. Returns 0 if
   the offsets do not ascend from 0 to `size` at most. */
int texts_counts(const uint8_t *data, size_t size, const int32_t *offsets, ptrdiff_t rows, LineCounts *counts);

/* How many bytes of a block of CSV are whole rows, whose quoted fields may hold line ends (RFC 4180). A quote that does
   not begin a field is a character of it, as in Python's csv and in pyarrow. */
size_t csv_whole_rows(Text block, uint8_t delimiter);

#endif
