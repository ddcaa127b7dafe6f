/* What the URLs of one batch have in common: everything except their keys and signatures.

   A URL that fits needs not be taken apart: its HttpString differs from the others' by its key alone. */
#ifndef COSSIGN_PATTERN_H
#define COSSIGN_PATTERN_H

#include "../text/frame.h"
#include "parse.h"

typedef struct {
    Text head;   /* up to the key */
    Text middle; /* from there to the signature */
    Text tail;
    Frame frame;
    int has_token; /* in the middle or the tail */
} UrlPattern;

/* Whether only a key and a signature make the difference, and where the key is. */
int pattern_fits(const UrlPattern *pattern, Text url, Text *key);

/* What became of URLs, in parallel arrays. */
typedef struct {
    const Text *keys; /* percent-encoded, of the URLs that fit */
    size_t count;
    sha1_row *rows;
    uint8_t *wrong; /* 1 for a key that cannot be one: its signature is not right, for any hash */
    Text *texts;    /* for the layer's use */
} Fitting;

/* Lay out the HttpStrings of URLs that fit, by the layer as far as it goes. Room as for http_bound of every URL, and
   FRAME_SLACK; signatures go to `holes`, SHA1_HEX bytes each. */
void pattern_lay_out(const UrlPattern *pattern, frame_layer *lay, const Fitting *fitting, Space space, uint8_t *holes);

#endif
