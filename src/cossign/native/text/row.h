/* A row of any kind laid out: its HttpString, and its URL or Authorization. */
#ifndef COSSIGN_ROW_H
#define COSSIGN_ROW_H

#include "../sha1/sha1.h"
#include "frame.h"
#include "names.h"
#include "text.h"

/* What is done with a key, or-ed. */
enum {
    RULE_DROP_SLASH = 1, /* one leading slash of the key is dropped (as the documented calls do) */
    RULE_KEEP_SLASH = 2, /* no slash is put before a key that begins with one (as they do) */
    RULE_REQUIRED = 4,   /* an empty key is a missing parameter */
    RULE_STRICT = 8,     /* COS's naming rules are checked */
    RULE_NO_NULL = 16,   /* None is a missing parameter */
    RULE_UTF8 = 32       /* keys come as bytes, whose UTF-8 is checked */
};

/* A piece of a form that is not constant text; from 0 on it is a column's number. */
enum { PIECE_KEY = -1, PIECE_SIGNATURE = -2, PIECE_TEXT = -3 };

typedef struct {
    ptrdiff_t kind;
    Text text; /* of PIECE_TEXT, with TEXT_SLACK readable bytes after it */
} Piece;

/* What a batch's rows have in common: the pieces of their HttpStrings, then those of their texts. */
typedef struct {
    Text head; /* HttpString's constant beginning, with TEXT_SLACK readable bytes after it */
    const Piece *pieces;
    size_t http_count;
    size_t count;
    size_t http_size; /* bytes of HttpString's constant text */
    size_t text_size; /* the same of the text, with the signature */
    int rules;
    int signs;        /* the text has a signature */
    size_t http_keys; /* how many pieces of HttpString are the key */
    size_t text_keys; /* the same of the text */
    size_t columns;
    size_t end_back[2]; /* how far before the signature the digits of KeyTime's end are, twice; 0 if they are not */
    frame_layer *lay;   /* of the usual row; NULL if the pieces are not a frame, or the engine has none */
    Frame frame;
} Form;

/* Rows in parallel arrays. */
typedef struct {
    const Text *keys;
    const Text *values; /* `width` of each row; the form's columns come first */
    size_t width;
    Fault *faults;
    Text *texts; /* written for rows without a fault */
} Rows;

/* Lay out one row at the places in `space`, and move these on. A row with a fault moves nothing. The row needs the room
   of form_http_bound and of form_text_bound. */
Fault form_lay_out(const Form *form, Space *space, sha1_row *row, Text *text, Text key, const Text *values);

/* Lay out the rows done ... last - 1 that have no fault, at most SHA1_TILE: by the engine as far as they are usual.
   `signed_rows` gets those that have a signature, one after the other, and `count` how many they are.
   Returns `last`. If the room at space->out ends earlier, it returns the first row that has no room. */
size_t form_lay_out_tile(
    const Form *form, const Rows *rows, size_t done, size_t last, Space *space, sha1_row *signed_rows, size_t *count);

/* The most bytes of the encoded values among the pieces first ... last - 1. */
static inline size_t form_values_bound(const Form *form, const Text *values, size_t first, size_t last)
{
    size_t size = 0;
    for (size_t i = first; i < last; i++) {
        if (form->pieces[i].kind >= 0) {
            size += 3 * values[form->pieces[i].kind].size;
        }
    }
    return size;
}

/* The most bytes that a row's HttpString takes in form_lay_out, slack included. */
static inline size_t form_http_bound(const Form *form, Text key, const Text *values)
{
    size_t keys = form->http_keys ? form->http_keys : 1; /* without one, the key lies before HttpString */
    size_t size = form->http_size + keys * (key.size + 1) + 3 * SHA1_BLOCK + 2 * TEXT_SLACK;
    return form->columns ? size + form_values_bound(form, values, 0, form->http_count) : size;
}

/* The most bytes of a row's text, without TEXT_SLACK. */
static inline size_t form_text_bound(const Form *form, Text key, const Text *values)
{
    size_t size = form->text_size + form->text_keys * (3 * key.size + 1);
    return form->columns ? size + form_values_bound(form, values, form->http_count, form->count) : size;
}

/* The same as form_http_bound for all rows done ... last - 1 together. */
size_t form_tile_bound(const Form *form, const Rows *rows, size_t done, size_t last);

/* Set a frame's five texts, in the order of its fields. `memory` has frame_size(texts) bytes, all 0. */
void frame_set(Frame *frame, const Text texts[5], uint8_t *memory);
size_t frame_size(const Text texts[5]);

/* The next place where a block of SHA-1 lies in one line of the caches: at most SHA1_BLOCK - 1 further. */
static inline uint8_t *aligned(uint8_t *place)
{
    return place + (-(uintptr_t)place & (SHA1_BLOCK - 1));
}

#endif
