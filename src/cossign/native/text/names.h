/* COS's rules for the names of objects, and what can be wrong with a row. */
#ifndef COSSIGN_NAMES_H
#define COSSIGN_NAMES_H

#include "text.h"

/* What vectors test, too. */
enum {
    KEY_MAX = 850,            /* bytes of UTF-8 */
    KEY_CONTROL_FIRST = 0x18, /* CAN, EM, SUB, ESC */
    KEY_CONTROLS = 4
};

/* Why a row is not signed. FAULT_NULL_ROW is not an error. */
typedef enum {
    FAULT_NONE,
    FAULT_NULL_ROW,
    FAULT_NOT_A_STR,
    FAULT_SURROGATE,
    FAULT_NOT_UTF8,
    FAULT_MISSING,
    FAULT_EMPTY,
    FAULT_TOO_LONG,
    FAULT_LEADING,
    FAULT_CONTROL,
    FAULT_DOT_SEGMENT,
    FAULT_BAD_VALUE,
    FAULT_BAD_TEMPLATE
} Fault;

/* COS's naming rules ("Object Overview", product 436, page 13324), and the dot segments of RFC 3986, 5.2.4, which HTTP
   clients remove. What `put_key`, `scan_odd` and the engines test is narrower, so that this function decides. */
static inline Fault key_fault(Text key)
{
    size_t segment = 0;
    if (key.size == 0) {
        return FAULT_EMPTY;
    }
    if (key.size > KEY_MAX) {
        return FAULT_TOO_LONG;
    }
    if (key.data[0] == '/' || key.data[0] == '\\') {
        return FAULT_LEADING;
    }
    for (size_t i = 0; i <= key.size; i++) {
        if (i == key.size || key.data[i] == '/') {
            size_t size = i - segment;
            if ((size == 1 || size == 2) && key.data[segment] == '.' && key.data[i - 1] == '.') {
                return FAULT_DOT_SEGMENT;
            }
            segment = i + 1;
        } else if (key.data[i] >= KEY_CONTROL_FIRST && key.data[i] < KEY_CONTROL_FIRST + KEY_CONTROLS) {
            return FAULT_CONTROL;
        }
    }
    return FAULT_NONE;
}

#endif
