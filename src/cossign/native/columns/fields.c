/* CSV taken apart: see fields.h. */
#include "fields.h"

#include "../text/escape.h"
#include "../text/scan.h"

/* The bytes that are looked for, as bits of the window before `end`. Those that were found are gone: where the next one is
   does not depend on where the reader is, so that the CPU need not wait for that. */
typedef struct {
    const uint8_t *end;
    uint64_t bits;
} Window;

/* A block that is being read: its next row begins at `place`. */
typedef struct {
    const uint8_t *place, *end;
    Window quotes, ends;
} Reading;

/* The next of up to three bytes from `place` on, or else `end`. */
ALWAYS_INLINE const uint8_t *find_byte(
    Window *window, const uint8_t *place, const uint8_t *end, uint8_t first, uint8_t second, uint8_t third)
{
    if (window->end < place) {
        *window = (Window){place, 0};
    }
    const uint8_t *found;
    do {
        while (!window->bits) {
            const uint8_t *next = window->end;
            if (next >= end) {
                return end;
            }
            window->bits = window_equal(next, first) | window_equal(next, second) | window_equal(next, third);
            window->end = next + WINDOW;
        }
        found = window->end - WINDOW + first_bit(window->bits);
        window->bits &= window->bits - 1;
    } while (found < place);
    return found < end ? found : end;
}

ALWAYS_INLINE const uint8_t *find_quote(Reading *reading, const uint8_t *place)
{
    return find_byte(&reading->quotes, place, reading->end, '"', '"', '"');
}

/* The end of a field without quotes: where the delimiter, CR or LF is, or the block's end. */
ALWAYS_INLINE const uint8_t *find_field_end(Reading *reading, const uint8_t *place, uint8_t delimiter)
{
    return find_byte(&reading->ends, place, reading->end, delimiter, '\n', '\r');
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

/* Percent-decode, as put_decoded does it, a window at a time: TEXT_SLACK bytes after the text must be readable, and after
   `out` writable. `has_plus` becomes 1 if the text has a plus sign. */
static uint8_t *put_decoded_windows(uint8_t *out, Text text, int *has_plus)
{
    size_t taken = 0;
    for (size_t start = 0; start < text.size; start += WINDOW) {
        uint64_t valid = text.size - start < WINDOW ? ((uint64_t)1 << (text.size - start)) - 1 : UINT64_MAX;
        *has_plus |= (window_equal(text.data + start, '+') & valid) != 0;
        for (uint64_t marks = window_equal(text.data + start, '%') & valid; marks; marks &= marks - 1) {
            size_t place = start + first_bit(marks);
            int byte = escaped_byte((Text){text.data + place, text.size - place});
            if (byte >= 0) {
                out = put_text(out, text.data + taken, place - taken);
                *out++ = (uint8_t)byte;
                taken = place + 3;
            }
        }
    }
    return put_text(out, text.data + taken, text.size - taken);
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
        int has_plus = 0;
        if (has_quotes) {
            has_plus = memchr(text.data, '+', text.size) != NULL;
            out = put_decoded(start, text, 0);
        } else {
            out = put_decoded_windows(start, text, &has_plus);
        }
        counts->plus_signs += has_plus;
    }
    into->offsets[counts->rows + 1] = (int32_t)(out - into->data);
    return 1;
}

typedef enum { ROW_WHOLE, ROW_CUT, ROW_ODD } RowState;

/* The next row, which is not empty. */
ALWAYS_INLINE RowState read_row(
    const FieldsForm *form, Reading *reading, int is_last, TextColumn *columns, RowsCounts *counts)
{
    const uint8_t *at = reading->place, *end = reading->end;
    for (int32_t field = 0;; field++) {
        int32_t column = field < form->fields ? form->columns[field] : -1;
        Text text;
        int has_quotes = 0;
        if (at < end && *at == '"') {
            const uint8_t *closing = find_quote(reading, at + 1);
            while (closing + 1 < end && closing[1] == '"') {
                has_quotes = 1;
                closing = find_quote(reading, closing + 2);
            }
            if (closing >= end || (closing + 1 == end && !is_last)) {
                return is_last ? ROW_ODD : ROW_CUT;
            }
            text = (Text){at + 1, (size_t)(closing - at - 1)};
            at = closing + 1;
        } else {
            const uint8_t *field_end = find_field_end(reading, at, form->delimiter);
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
            reading->place = at;
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
        reading->place = at + 1;
        return *at == '\n' && field + 1 == form->fields ? ROW_WHOLE : ROW_ODD;
    }
}

RowsStop fields_read(const FieldsForm *form, Text block, int is_last, TextColumn *columns, RowsCounts *counts)
{
    const uint8_t *end = block.data + block.size;
    Reading reading = {block.data, end, {block.data, 0}, {block.data, 0}};
    counts->size = 0;
    for (;;) {
        const uint8_t *place = reading.place;
        while (place < end && (*place == '\n' || (*place == '\r' && place + 1 < end && place[1] == '\n'))) {
            place += *place == '\n' ? 1 : 2; /* empty lines are not rows */
            counts->empty_lines++;
        }
        counts->size = (size_t)(place - block.data);
        if (place == end) {
            return ROWS_END;
        }
        if (!columns_have_room(columns, form->count, counts->rows, (size_t)(end - place))) {
            return ROWS_FULL;
        }
        reading.place = place;
        int64_t plus_signs = counts->plus_signs;
        RowState state = read_row(form, &reading, is_last, columns, counts);
        if (state != ROW_WHOLE) {
            counts->plus_signs = plus_signs;
            return state == ROW_CUT ? ROWS_END : ROWS_ODD;
        }
        counts->rows++;
    }
}
