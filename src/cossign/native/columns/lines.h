/* Blocks of text taken apart into lines, and where the last whole row of CSV ends. */
#ifndef COSSIGN_LINES_H
#define COSSIGN_LINES_H

#include "../text/text.h"

/* The lines of a block of less than 2 GiB as Arrow's views into it, four numbers a line. They end with "\n" or "\r\n"; the
   last one need not. Returns memory of malloc's, and their number in `rows`; NULL without memory. */
int32_t *lines_views(Text block, int64_t *rows);

/* How many bytes of a block of CSV are whole rows, whose quoted fields may hold line ends (RFC 4180). A quote that does
   not begin a field is a character of it, as in Python's csv and in pyarrow. */
size_t csv_whole_rows(Text block);

#endif
