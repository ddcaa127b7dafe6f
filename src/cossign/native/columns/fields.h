/* CSV taken apart into the columns that are wanted. */
#ifndef COSSIGN_FIELDS_H
#define COSSIGN_FIELDS_H

#include "texts.h"

/* What the rows of a file are like. */
typedef struct {
    const int32_t *columns; /* for each field of a row the column that it goes to, or -1; each column has one field */
    int32_t fields;         /* that every row has */
    int32_t count;          /* of columns */
    int32_t raw;            /* the column that may hold bytes that are not UTF-8, and is decoded if `is_encoded` */
    uint8_t delimiter;
    uint8_t is_encoded; /* whether the texts of that column are percent-encoded */
} FieldsForm;

/* Read whole rows of a block (RFC 4180) into columns, after the rows that are there: `counts` goes on from what it has.
   TEXT_SLACK bytes after the block must be readable. If `is_last`, the block's end ends a row, too. A row is odd if it has
   another number of fields, text after a closing quote, a quote that is not closed, a CR that is not at a line's end, or a
   text that is not UTF-8. */
RowsStop fields_read(const FieldsForm *form, Text block, int is_last, TextColumn *columns, RowsCounts *counts);

#endif
