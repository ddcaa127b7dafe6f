/* Arrow columns to texts: see read.h. */
#include "read.h"

#include <stdlib.h>

/* --- Schemas ----------------------------------------------------------------------------------------------------------- */

/* The bytes of an integer of an Arrow format; 0 if it is another type. */
static int integer_width(const char *format)
{
    static const char formats[] = "cCsSiIlL"; /* of 1, 1, 2, 2, 4, 4, 8, 8 bytes, unsigned ones in upper case */
    const char *place = format[0] && !format[1] ? strchr(formats, format[0]) : NULL;
    return place ? 1 << (place - formats) / 2 : 0;
}

static int is_one_of(const char *format, const char *one, const char *other)
{
    return strcmp(format, one) == 0 || strcmp(format, other) == 0;
}

SchemaFault column_new(const ArrowSchema *schema, int depth, ColumnType **column, const ArrowSchema **culprit)
{
    const char *format = schema->format ? schema->format : "";
    const ArrowSchema *child = NULL, *integers = schema;
    ColumnType read = {OFFSETS_32, 0, 0, NULL};
    *column = NULL;
    *culprit = schema;
    if (depth > COLUMN_DEEPEST) {
        return SCHEMA_TOO_DEEP;
    }
    if (schema->dictionary) {
        read.layout = DICTIONARY;
        child = schema->dictionary;
    } else if (is_one_of(format, "u", "z")) {
        read.layout = OFFSETS_32;
    } else if (is_one_of(format, "U", "Z")) {
        read.layout = OFFSETS_64;
    } else if (is_one_of(format, "vu", "vz")) {
        read.layout = VIEWS;
    } else if (strcmp(format, "n") == 0) {
        read.layout = NULLS;
    } else if (strcmp(format, "+r") == 0 && schema->n_children == 2 && schema->children) {
        read.layout = RUN_ENDS;
        integers = schema->children[0];
        child = schema->children[1];
        if (!integers || !integers->format) {
            return SCHEMA_NO_RUN_ENDS;
        }
    } else if (strcmp(format, "+s") == 0 && schema->n_children == 1 && schema->children) {
        read.layout = ONE_COLUMN;
        child = schema->children[0];
    } else if (integer_width(format)) {
        read.layout = INTEGERS;
    } else {
        return SCHEMA_NOT_TEXT;
    }
    if (read.layout == DICTIONARY || read.layout == RUN_ENDS || read.layout == INTEGERS) {
        format = integers->format ? integers->format : "";
        read.width = integer_width(format);
        read.is_unsigned = format[0] >= 'A' && format[0] <= 'Z';
        if (!read.width) {
            *culprit = integers;
            return SCHEMA_NOT_INTEGERS;
        }
    }
    if (read.layout == DICTIONARY || read.layout == RUN_ENDS || read.layout == ONE_COLUMN) {
        SchemaFault fault = child ? column_new(child, depth + 1, &read.child, culprit) : SCHEMA_NO_CHILD;
        if (fault != SCHEMA_FINE) {
            return fault;
        }
    }
    *column = malloc(sizeof read);
    if (!*column) {
        column_free(read.child);
        return SCHEMA_NO_MEMORY;
    }
    **column = read;
    return SCHEMA_FINE;
}

void column_free(ColumnType *column)
{
    while (column) {
        ColumnType *child = column->child;
        free(column);
        column = child;
    }
}

/* --- Arrays ------------------------------------------------------------------------------------------------------------ */

static const char *run_ends_fault(const ArrowArray *array)
{
    if (array->n_children != 2 || !array->children || !array->children[0] || !array->children[1]) {
        return "its run ends or values are missing";
    }
    const ArrowArray *ends = array->children[0];
    if (ends->n_buffers != 2 || !ends->buffers || ends->offset < 0) {
        return "its run ends are malformed";
    }
    if (ends->length && !ends->buffers[1]) {
        return "a buffer is missing";
    }
    if (ends->length < 0 || ends->length > array->children[1]->length || ends->length > INT64_MAX - ends->offset) {
        return "it has more run ends than values";
    }
    return array->length && !ends->length ? "its run ends are missing" : NULL;
}

static const char *buffers_fault(const ColumnType *column, const ArrowArray *array)
{
    int64_t buffers = 3;
    if (column->layout == RUN_ENDS || column->layout == NULLS) {
        return NULL;
    }
    if (column->layout == INTEGERS || column->layout == DICTIONARY) {
        buffers = 2;
    } else if (column->layout == ONE_COLUMN) {
        buffers = 1;
    }
    if (array->n_buffers < buffers || (column->layout != VIEWS && array->n_buffers > buffers)) {
        return "it has another number of buffers than its type";
    }
    if (!array->buffers) {
        return "its buffers are missing";
    }
    if (array->length && buffers > 1 && !array->buffers[1]) {
        return "a buffer is missing";
    }
    if (column->layout == VIEWS && array->length && array->n_buffers > 3 && !array->buffers[array->n_buffers - 1]) {
        return "the sizes of its data buffers are missing";
    }
    return NULL;
}

const char *column_fault(const ColumnType *column, const ArrowArray *array)
{
    const char *fault;
    if (array->length < 0 || array->offset < 0 || array->length > INT64_MAX - array->offset) {
        return "its length or offset is negative or too large";
    }
    fault = buffers_fault(column, array);
    if (fault) {
        return fault;
    }
    switch (column->layout) {
    case DICTIONARY:
        return array->dictionary ? column_fault(column->child, array->dictionary) : "its dictionary is missing";
    case RUN_ENDS:
        fault = run_ends_fault(array);
        return fault ? fault : column_fault(column->child, array->children[1]);
    case ONE_COLUMN:
        if (array->n_children != 1 || !array->children || !array->children[0]) {
            return "its column is missing";
        }
        if (array->children[0]->length < array->offset + array->length) {
            return "its column is shorter than itself";
        }
        return column_fault(column->child, array->children[0]);
    default:
        return NULL;
    }
}

/* --- Rows -------------------------------------------------------------------------------------------------------------- */

static const uint8_t nothing[1]; /* of an array whose texts are all empty, the buffer may be missing */

static inline int is_null(const ArrowArray *array, int64_t index)
{
    const uint8_t *valid = array->buffers[0];
    return array->null_count != 0 && valid && !(valid[index >> 3] >> (index & 7) & 1);
}

static inline int64_t integer_at(const void *buffer, int width, int64_t index)
{
    switch (width) {
    case 1:
        return ((const int8_t *)buffer)[index];
    case 2:
        return ((const int16_t *)buffer)[index];
    case 4:
        return ((const int32_t *)buffer)[index];
    default:
        return ((const int64_t *)buffer)[index];
    }
}

/* The same, its sign taken for what it is. An unsigned one of 8 bytes that is too large becomes negative. */
static inline int64_t number_at(const ColumnType *column, const void *buffer, int64_t index)
{
    int64_t value = integer_at(buffer, column->width, index);
    return column->is_unsigned && column->width < 8 ? value & (((int64_t)1 << 8 * column->width) - 1) : value;
}

static size_t put_integer(uint8_t *out, int64_t value, int is_unsigned)
{
    if (is_unsigned || value >= 0) {
        return put_number(out, (uint64_t)value);
    }
    out[0] = '-';
    return 1 + put_number(out + 1, 0 - (uint64_t)value);
}

static const char *read_runs(const ColumnType *column, const ArrowArray *array, int64_t first, int64_t count,
    Text *texts, size_t stride, uint8_t *digits)
{
    const ArrowArray *ends = array->children[0];
    int64_t low = 0, high = ends->length, i = 0;
    while (low < high) { /* the first run that ends after `first` */
        int64_t middle = low + (high - low) / 2;
        if (integer_at(ends->buffers[1], column->width, ends->offset + middle) > first) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    for (int64_t run = low; i < count; run++) {
        if (run >= ends->length) {
            return "its runs end before it does";
        }
        int64_t end = integer_at(ends->buffers[1], column->width, ends->offset + run);
        if (end <= first + i) {
            return "its run ends do not grow";
        }
        Text *text = &texts[(size_t)i * stride];
        const char *fault =
            column_read(column->child, array->children[1], run, 1, text, stride, digits + COLUMN_DIGITS * i);
        if (fault) {
            return fault;
        }
        for (; i < count && first + i < end; i++) {
            texts[(size_t)i * stride] = *text;
        }
    }
    return NULL;
}

/* The usual column: one test for all rows. */
static const char *read_offsets(const ArrowArray *array, int64_t first, int64_t count, Text *texts, size_t stride)
{
    const int32_t *offsets = (const int32_t *)array->buffers[1] + first;
    const uint8_t *data = array->buffers[2];
    int64_t end = offsets[0], signs = end;
    for (int64_t i = 0; i < count; i++) {
        int64_t start = end;
        end = offsets[i + 1];
        signs |= end | (end - start);
        texts[(size_t)i * stride] = (Text){data + start, (size_t)(end - start)};
    }
    return signs < 0 ? "its offsets go back" : NULL;
}

static const char *read_offset(const ColumnType *column, const ArrowArray *array, int64_t index, Text *text)
{
    int64_t start, end;
    const uint8_t *data = array->buffers[2];
    if (column->layout == OFFSETS_32) {
        start = ((const int32_t *)array->buffers[1])[index];
        end = ((const int32_t *)array->buffers[1])[index + 1];
    } else {
        start = ((const int64_t *)array->buffers[1])[index];
        end = ((const int64_t *)array->buffers[1])[index + 1];
    }
    if (start < 0 || end < start) {
        return "its offsets go back";
    }
    if (end > start && !data) {
        return "a buffer is missing";
    }
    *text = end > start ? (Text){data + start, (size_t)(end - start)} : (Text){nothing, 0};
    return NULL;
}

static const char *read_view(const ArrowArray *array, int64_t index, Text *text)
{
    const int32_t *view = (const int32_t *)array->buffers[1] + 4 * index;
    int64_t size = view[0], buffer = view[2], start = view[3];
    if (size < 0) {
        return "a view's length is negative";
    }
    if (size <= 12) {
        *text = (Text){(const uint8_t *)(view + 1), (size_t)size};
        return NULL;
    }
    if (buffer < 0 || buffer >= array->n_buffers - 3 || !array->buffers[2 + buffer]) {
        return "a view is in a buffer that is not there";
    }
    if (start < 0 || start + size > ((const int64_t *)array->buffers[array->n_buffers - 1])[buffer]) {
        return "a view is outside its buffer";
    }
    *text = (Text){(const uint8_t *)array->buffers[2 + buffer] + start, (size_t)size};
    return NULL;
}

const char *column_read(const ColumnType *column, const ArrowArray *array, int64_t first, int64_t count, Text *texts,
    size_t stride, uint8_t *digits)
{
    const char *fault = NULL;
    if (first < 0 || count > array->length - first) {
        return "it is shorter than what refers to it";
    }
    if (column->layout == ONE_COLUMN) {
        fault = column_read(column->child, array->children[0], array->offset + first, count, texts, stride, digits);
        for (int64_t i = 0; !fault && i < count; i++) {
            if (is_null(array, array->offset + first + i)) {
                texts[(size_t)i * stride] = (Text){NULL, 0};
            }
        }
        return fault;
    }
    first += array->offset;
    if (column->layout == RUN_ENDS) {
        return read_runs(column, array, first, count, texts, stride, digits);
    }
    if (column->layout == OFFSETS_32 && array->buffers[2] && (array->null_count == 0 || !array->buffers[0])) {
        return read_offsets(array, first, count, texts, stride);
    }
    for (int64_t i = 0; !fault && i < count; i++, digits += COLUMN_DIGITS) {
        const int64_t index = first + i;
        Text *text = &texts[(size_t)i * stride];
        *text = (Text){NULL, 0};
        if (column->layout == NULLS || is_null(array, index)) {
            continue;
        }
        switch (column->layout) {
        case OFFSETS_32:
        case OFFSETS_64:
            fault = read_offset(column, array, index, text);
            break;
        case VIEWS:
            fault = read_view(array, index, text);
            break;
        case INTEGERS:
            *text =
                (Text){digits, put_integer(digits, number_at(column, array->buffers[1], index), column->is_unsigned)};
            break;
        default:
            fault = column_read(
                column->child, array->dictionary, number_at(column, array->buffers[1], index), 1, text, stride, digits);
        }
    }
    return fault;
}
