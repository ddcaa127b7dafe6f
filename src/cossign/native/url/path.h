/* What a decoded path may mean to others, who tidy paths up. */
#ifndef COSSIGN_PATH_H
#define COSSIGN_PATH_H

#include "../text/escape.h"

typedef enum {
    PATH_FINE,
    PATH_CONTROL,       /* it has a control character */
    PATH_BACKSLASH,     /* some take it for a slash */
    PATH_EMPTY_SEGMENT, /* two slashes in a row, which some take for one */
    PATH_DOT_SEGMENT,   /* "." or "..", also before ; ? or #, where some see the end of a name */
    PATH_TWICE_ENCODED  /* it has %XX still */
} PathFault;

enum {
    PATH_MOST = 1024, /* bytes of an unusual path that is decoded further; a longer one is refused */
    PATH_LEVELS = 8   /* how often it is decoded; what is encoded more often is refused */
};

static inline PathFault path_fault_of_level(const uint8_t *path, size_t size, int is_unusual)
{
    size_t segment = 0; /* where it began */
    size_t dots = 0;    /* that it is made of so far; 3 if there is anything else in it */
    for (size_t i = 0; i <= size; i++) {
        uint8_t byte = i == size ? '/' : path[i];
        if ((uint8_t)((byte | 0x20) - 'a') < 26 || (uint8_t)(byte - '0') < 10 || byte >= 0x80) {
            dots = 3;
        } else if (byte == '.') {
            dots += dots < 3;
        } else if (byte == '/' || (byte == '\\' && is_unusual)) {
            if (dots == 1 || dots == 2) {
                return PATH_DOT_SEGMENT;
            }
            if (i == segment && i < size && !is_unusual) {
                return PATH_EMPTY_SEGMENT;
            }
            segment = i + 1;
            dots = 0;
        } else if (byte == ';' || byte == '?' || byte == '#') {
            if (dots == 1 || dots == 2) {
                return PATH_DOT_SEGMENT;
            }
            dots = 3;
        } else if (byte < 0x20 || byte == 0x7f) {
            return PATH_CONTROL;
        } else if (byte == '\\') {
            return PATH_BACKSLASH;
        } else if (byte == '%' && !is_unusual && escaped_byte((Text){path + i, size - i}) >= 0) {
            return PATH_TWICE_ENCODED;
        } else {
            dots = 3;
        }
    }
    return PATH_FINE;
}

/* Whether what follows a path's first slash means one key to everybody. An unusual path may have backslashes, two slashes in
   a row, and %XX; but whoever decodes that further, and takes backslashes for slashes, must find no dot segment and no control
   character either. */
static inline PathFault path_fault(const uint8_t *path, size_t size, int is_unusual)
{
    PathFault fault = path_fault_of_level(path, size, is_unusual);
    if (fault || !is_unusual || !memchr(path, '%', size)) {
        return fault;
    }
    uint8_t plain[PATH_MOST];
    if (size > PATH_MOST) {
        return PATH_TWICE_ENCODED;
    }
    size_t length = (size_t)(put_decoded(plain, (Text){path, size}, 0) - plain);
    for (int level = 0; length < size; level++) {
        fault = level < PATH_LEVELS ? path_fault_of_level(plain, length, 1) : PATH_TWICE_ENCODED;
        if (fault) {
            return fault;
        }
        size = length;
        length = (size_t)(put_decoded(plain, (Text){plain, size}, 0) - plain);
    }
    return PATH_FINE;
}

#endif
