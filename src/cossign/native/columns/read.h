/* Arrow columns of text: what their schemas say, whether an array fits, and the texts of its rows.

   An array from outside is trusted in nothing that can be checked: `column_new` reads the schema, `column_fault` what an
   array says of itself, `column_read` each offset, view, index and run that it follows. The sizes of buffers are not
   part of Arrow's C interface, so that an offset beyond its buffer cannot be seen. */
#ifndef COSSIGN_READ_H
#define COSSIGN_READ_H

#include "../text/text.h"
#include "arrow.h"

enum {
    COLUMN_DIGITS = 24, /* bytes that an integer's text may take */
    COLUMN_DEEPEST = 8  /* columns within a column */
};

/* The layouts of a column of text (https://arrow.apache.org/docs/format/Columnar.html). */
typedef enum {
    OFFSETS_32,
    OFFSETS_64,
    VIEWS,
    INTEGERS,
    DICTIONARY,
    RUN_ENDS,
    ONE_COLUMN, /* a struct, such as a table with one column */
    NULLS
} Layout;

typedef struct ColumnType {
    Layout layout;
    int width; /* of an integer, an index or a run's end, in bytes */
    int is_unsigned;
    struct ColumnType *child; /* a dictionary's values, a run's values, a struct's column */
} ColumnType;

typedef enum {
    SCHEMA_FINE,
    SCHEMA_TOO_DEEP,
    SCHEMA_NOT_TEXT,     /* *culprit: the schema that is another type */
    SCHEMA_NOT_INTEGERS, /* *culprit: a dictionary's indices or run ends that are not integers */
    SCHEMA_NO_CHILD,
    SCHEMA_NO_RUN_ENDS,
    SCHEMA_NO_MEMORY
} SchemaFault;

/* What a schema says of a column, to be freed by column_free; `depth` is 0. */
SchemaFault column_new(const ArrowSchema *schema, int depth, ColumnType **column, const ArrowSchema **culprit);
void column_free(ColumnType *column);

/* Why an array does not fit its schema, as far as that can be seen without its rows; NULL if it fits. */
const char *column_fault(const ColumnType *column, const ArrowArray *array);

/* The texts of the rows first ... first + count - 1, `stride` apart; a null's data is NULL. `column_fault` has passed the
   array. `digits` has COLUMN_DIGITS bytes a row, for integers. Returns why the array is malformed, or NULL. */
const char *column_read(const ColumnType *column, const ArrowArray *array, int64_t first, int64_t count, Text *texts,
    size_t stride, uint8_t *digits);

#endif
