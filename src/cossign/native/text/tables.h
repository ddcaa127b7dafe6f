/* Rows that differ by their method, or by when their signature ends: each has a form and a key of its own. */
#ifndef COSSIGN_TABLES_H
#define COSSIGN_TABLES_H

#include "../sha1/engine.h"
#include "row.h"

enum {
    END_DIGITS = 10 /* of a KeyTime's end, from 2001 to 2286 */
};

/* What one row is laid out and signed by. */
typedef struct {
    const Form *form;
    const sha1_key *key;
    const uint8_t *end; /* END_DIGITS characters instead of the form's own; NULL for these */
} RowForm;

/* How rows differ. */
typedef struct {
    const Form *form; /* of a row that differs in nothing; it has end_back, and its head is a method and a line end */
    const sha1_key *key;    /* of a row that differs in nothing */
    const sha1_key *secret; /* prepared with the SecretKey and no head */
    sha1_compressor *compress;
    ptrdiff_t method; /* the number of the value that is a row's method, and of the one that is its seconds; or -1 */
    ptrdiff_t expires;
    uint64_t start; /* a row's KeyTime is from `start` to `start` + its seconds + `extra` */
    uint64_t extra;
} Differences;

/* The forms and keys of a thread, made as rows need them; they take some 3 MiB at most. */
typedef struct Tables Tables;

/* Returns NULL if there is no memory. What `differences` points to must stay until tables_free. */
Tables *tables_new(const Differences *differences);
void tables_free(Tables *tables);

/* Begin a tile: what earlier ones found may be replaced. */
void tables_begin(Tables *tables);

/* Find the forms of the rows first ... last - 1 that have no fault. They belong to one tile; `forms` begins with the first
   row's. Returns `last` if all are found. Otherwise it returns the first row that has no form: with *full set, the tile
   must end before this row; without, the row's values are not understood here. */
size_t tables_find(Tables *tables, const Rows *rows, size_t first, size_t last, RowForm *forms, int *full);

/* As form_tile_bound and form_lay_out_tile, for rows that have forms of their own; `forms` begins with that of `done`. */
size_t tables_tile_bound(const RowForm *forms, const Rows *rows, size_t done, size_t last);
size_t tables_lay_out_tile(const RowForm *forms, const Rows *rows, size_t done, size_t last, Space *space,
    sha1_row *signed_rows, size_t *count);

#endif
