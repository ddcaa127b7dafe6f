/* CSV taken apart: see fields.h. */
#include "fields.h"

#include "../text/escape.h"
#include "../text/scan.h"

/* The end of a field without quotes: where the delimiter, CR or LF is, or `end`. */
static const uint8_t *find_field_end(const uint8_t *place, const uint8_t *end, uint8_t delimiter)
{
    for (; place < end; place += BYTES_STEP) {
        bytes_step bytes = bytes_load(place);
        bytes_marks marks = bytes_equal(bytes, delimiter) | bytes_equal(bytes, '\n') | bytes_equal(bytes, '\r');
        if (marks) {
            place += bytes_first(marks);
            break;
        }
    }
    return place < end ? place : end;
}

static const uint8_t *find_quote(const uint8_t *place, const uint8_t *end)
{
    for (; place < end; place += BYTES_STEP) {
        bytes_marks marks = bytes_equal(bytes_load(place), '"');
        if (marks) {
            place += bytes_first(marks);
            break;
        }
    }
    return place < end ? place : end;
}

/* Copy what is between quotes, each doubled quote as one. */
static uint8_t *put_unquoted(uint8_t *out, Text text)
{
    for (size_t i = 0; i < text.size; i++) {
        *out++ = text.data[i];
        i += text.data[i] == '"';
    }
    return out;
}

/* Percent-decode, as put_decoded does it, several bytes at a time: TEXT_SLACK bytes after the text must be readable, and
   after `out` writable. */
static uint8_t *put_decoded_steps(uint8_t *out, Text text)
{
    size_t i = 0;
    while (i < text.size) {
        bytes_step bytes = bytes_load(text.data + i);
        bytes_marks marks = bytes_equal(bytes, '%');
        size_t plain = marks ? bytes_first(marks) : BYTES_STEP;
        bytes_store(out, bytes);
        if (plain >= text.size - i) {
            return out + (text.size - i);
        }
        out += plain;
        i += plain;
        if (marks) {
            int byte = escaped_byte((Text){text.data + i, text.size - i});
            *out++ = byte < 0 ? '%' : (uint8_t)byte;
            i += byte < 0 ? 1 : 3;
        }
    }
    return out;
}

/* One field into its column. Returns 0 if it is odd. */
static int put_field(
    const FieldsForm *form, int32_t column, Text text, int has_quotes, TextColumn *into, RowsCounts *counts)
{
    uint8_t *start = into->data + into->offsets[counts->rows], *out = start;
    if (has_quotes) {
        out = put_unquoted(out, text);
        text = (Text){start, (size_t)(out - start)};
    } else if (column != form->raw || !form->is_encoded) {
        out = put_text(out, text.data, text.size);
    }
    if (column != form->raw) {
        if (!scan_utf8(start, (size_t)(out - start))) {
            return 0;
        }
    } else if (form->is_encoded) {
        counts->plus_signs += text.size && memchr(text.data, '+', text.size) != NULL;
        out = has_quotes ? put_decoded(start, text, 0) : put_decoded_steps(start, text);
    }
    into->offsets[counts->rows + 1] = (int32_t)(out - into->data);
    return 1;
}

typedef enum { ROW_WHOLE, ROW_CUT, ROW_ODD } RowState;

/* The next row, which begins at `*place` and is not empty. */
static RowState read_row(const FieldsForm *form, const uint8_t **place, const uint8_t *end, int is_last,
    TextColumn *columns, RowsCounts *counts)
{
    const uint8_t *at = *place;
    for (int32_t field = 0;; field++) {
        int32_t column = field < form->fields ? form->columns[field] : -1;
        Text text;
        int has_quotes = 0;
        if (at < end && *at == '"') {
            const uint8_t *closing = find_quote(at + 1, end);
            while (closing + 1 < end && closing[1] == '"') {
                has_quotes = 1;
                closing = find_quote(closing + 2, end);
            }
            if (closing >= end || (closing + 1 == end && !is_last)) {
                return is_last ? ROW_ODD : ROW_CUT;
            }
            text = (Text){at + 1, (size_t)(closing - at - 1)};
            at = closing + 1;
        } else {
            const uint8_t *field_end = find_field_end(at, end, form->delimiter);
            text = (Text){at, (size_t)(field_end - at)};
            at = field_end;
        }
        if (at == end && !is_last) {
            return ROW_CUT;
        }
        if (column >= 0 && !put_field(form, column, text, has_quotes, &columns[column], counts)) {
            return ROW_ODD;
        }
        if (at == end) {
            *place = at;
            return field + 1 == form->fields ? ROW_WHOLE : ROW_ODD;
        }
        if (*at == form->delimiter) {
            at++;
            continue;
        }
        if (*at == '\r') {
            if (at + 1 == end) {
                return is_last ? ROW_ODD : ROW_CUT;
            }
            at++;
        }
        *place = at + 1;
        return *at == '\n' && field + 1 == form->fields ? ROW_WHOLE : ROW_ODD;
    }
}

RowsStop fields_read(const FieldsForm *form, Text block, int is_last, TextColumn *columns, RowsCounts *counts)
{
    const uint8_t *place = block.data, *end = block.data + block.size;
    counts->size = 0;
    for (;;) {
        for (;; counts->empty_lines++) { /* empty lines are not rows */
            size_t line = place < end && *place == '\n'                             ? 1
                          : end - place > 1 && place[0] == '\r' && place[1] == '\n' ? 2
                                                                                    : 0;
            if (!line) {
                break;
            }
            place += line;
        }
        counts->size = (size_t)(place - block.data);
        if (place == end) {
            return ROWS_END;
        }
        if (!columns_have_room(columns, form->count, counts->rows, (size_t)(end - place))) {
            return ROWS_FULL;
        }
        int64_t plus_signs = counts->plus_signs;
        RowState state = read_row(form, &place, end, is_last, columns, counts);
        if (state != ROW_WHOLE) {
            counts->plus_signs = plus_signs;
            return state == ROW_CUT ? ROWS_END : ROWS_ODD;
        }
        counts->rows++;
    }
}
