/* The usual row: a key, percent-encoded in the URL if need be, between constant texts. */
#ifndef COSSIGN_FRAME_H
#define COSSIGN_FRAME_H

#include "../sha1/sha1.h"
#include "names.h"
#include "text.h"

enum {
    FRAME_SLACK = 3 * SHA1_BLOCK /* bytes that may be read after a text of a Frame */
};

/* The constant text around a key, in HttpString and in the URL. */
typedef struct {
    Text http[2]; /* 0x80 and zeros after the second: it serves as the padding, too */
    Text text[3]; /* before the key, after it, after the signature */
    int escapes;  /* a key may be laid out that needs escapes */
} Frame;

/* Where rows are laid out: both move on. Nothing at or after `end` is written. */
typedef struct {
    uint8_t *http; /* room for every row's padded HttpString, and FRAME_SLACK after the last */
    uint8_t *out;
    const uint8_t *end; /* of the room at `out` */
} Space;

/* Lay out usual rows: their HttpStrings, padded, and their texts, with a hole for the signature.
   Returns how many there are before the first one that is not usual, or has no room: a row whose key is empty, too
   long, begins with a slash or a backslash, has a segment that begins with a dot or one of the bytes 18-1B hex, needs an
   escape where the frame or the engine has none, or is not UTF-8. None may be, if http[0] is as long as a block. */
typedef size_t frame_layer(
    const Frame *frame, const Text *keys, size_t count, Space *space, sha1_row *rows, Text *texts);

frame_layer frame_lay_sse2, frame_lay_avx2, frame_lay_avx512, frame_lay_neon;

#endif
