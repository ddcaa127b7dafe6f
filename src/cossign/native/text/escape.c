/* The table of escapes, made of the one rule in scan.h. */
#include "escape.h"

#define SAFE_AT(where, byte) (SAFE(uint8_t, byte) && ((where) == PATH || (byte) != '/'))
#define ONE(where, byte)                                                                         \
    {{SAFE_AT(where, byte) ? (byte) : '%', UPPER_HEX[(byte) >> 4 & 15], UPPER_HEX[(byte) & 15]}, \
        SAFE_AT(where, byte) ? 1 : 3},
#define FOUR(where, byte) ONE(where, byte) ONE(where, (byte) + 1) ONE(where, (byte) + 2) ONE(where, (byte) + 3)
#define SIXTEEN(where, byte) \
    FOUR(where, byte)        \
    FOUR(where, (byte) + 4)  \
    FOUR(where, (byte) + 8)  \
    FOUR(where, (byte) + 12)
#define SIXTY_FOUR(where, byte) \
    SIXTEEN(where, byte) SIXTEEN(where, (byte) + 16) SIXTEEN(where, (byte) + 32) SIXTEEN(where, (byte) + 48)
#define ALL(where) SIXTY_FOUR(where, 0) SIXTY_FOUR(where, 64) SIXTY_FOUR(where, 128) SIXTY_FOUR(where, 192)

const Escape escapes_of[2][256] = {{ALL(COMPONENT)}, {ALL(PATH)}};
