/* JSON lines taken apart into the columns that are wanted. */
#ifndef COSSIGN_OBJECTS_H
#define COSSIGN_OBJECTS_H

#include "texts.h"

enum { OBJECTS_MOST_COLUMNS = 64, OBJECTS_DEPTH = 64 };

/* What a column's values are. All but texts are given as they are written. */
typedef enum {
    OBJECTS_TEXT,
    OBJECTS_NUMBER,  /* an integer among them of 15 characters at most, which a double holds */
    OBJECTS_INTEGER, /* of 18 characters at most */
    OBJECTS_BOOLEAN
} ObjectsKind;

typedef struct {
    Text name;
    ObjectsKind kind;
    uint8_t is_needed; /* whether every row must have it */
} ObjectsColumn;

typedef struct {
    const ObjectsColumn *columns;
    int32_t count;     /* at most OBJECTS_MOST_COLUMNS */
    uint8_t is_strict; /* whether a row may have no other fields */
} ObjectsForm;

/* Read whole lines of a block into columns, after the rows that are there: `counts` goes on from what it has. A text is null
   where a row lacks the field or has null. TEXT_SLACK bytes after the block must be readable. A line is odd if it is not an
   object of JSON (RFC 8259), or has a field twice, or one of another kind than its column, or text that is not UTF-8. */
RowsStop objects_read(const ObjectsForm *form, Text block, TextColumn *columns, RowsCounts *counts);

#endif
