/* JSON lines taken apart: see objects.h. What reads a value returns where it ends, or NULL if it is odd. */
#include "objects.h"

#include "../text/escape.h"
#include "../text/scan.h"

static const uint8_t *skip_blanks(const uint8_t *at, const uint8_t *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r')) {
        at++;
    }
    return at;
}

static int is_digit(uint8_t byte)
{
    return (uint8_t)(byte - '0') < 10;
}

/* The value of four hex digits; -1 if they are not four. */
static int32_t four_digits(const uint8_t *at, const uint8_t *end)
{
    int32_t value = 0;
    if (end - at < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0) {
            return -1;
        }
        value = value << 4 | digit;
    }
    return value;
}

/* The character after "\u", of two such escapes if it is a pair; -1 if it is half of one. `at` moves to its end. */
static int32_t escaped_character(const uint8_t **at, const uint8_t *end)
{
    int32_t high = four_digits(*at, end);
    if (high < 0) {
        return -1;
    }
    *at += 4;
    if (high < 0xd800 || high > 0xdfff) {
        return high;
    }
    int32_t low = end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u' ? four_digits(*at + 2, end) : -1;
    if (high > 0xdbff || low < 0xdc00 || low > 0xdfff) {
        return -1;
    }
    *at += 6;
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

static uint8_t *put_character(uint8_t *out, int32_t character)
{
    int more = character < 0x80 ? 0 : character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;
    static const uint8_t marks[] = {0, 0xc0, 0xe0, 0xf0};
    *out++ = (uint8_t)(marks[more] | character >> 6 * more);
    while (more--) {
        *out++ = (uint8_t)(0x80 | (character >> 6 * more & 0x3f));
    }
    return out;
}

/* A string, which begins after its quote. It is written to `*out`, if there is one; no escape is shorter than what it stands
   for. */
static const uint8_t *read_string(const uint8_t *at, const uint8_t *end, uint8_t **out)
{
    static const char escapes[] = "\"\\/bfnrt", characters[] = "\"\\/\b\f\n\r\t";
    for (;;) {
        const uint8_t *start = at;
        for (; at < end; at += BYTES_STEP) {
            bytes_step bytes = bytes_load(at);
            bytes_marks marks = bytes_equal(bytes, '"') | bytes_equal(bytes, '\\') | bytes_control(bytes);
            if (out) {
                bytes_store(*out + (at - start), bytes);
            }
            if (marks) {
                at += bytes_first(marks);
                break;
            }
        }
        if (at >= end || *at < 0x20) {
            return NULL;
        }
        if (out) {
            *out += at - start;
        }
        if (*at == '"') {
            return at + 1;
        }
        if (end - at < 2) {
            return NULL;
        }
        at += 2;
        int32_t character;
        if (at[-1] == 'u') {
            character = escaped_character(&at, end);
        } else {
            const char *escape = at[-1] ? strchr(escapes, at[-1]) : NULL;
            character = escape ? characters[escape - escapes] : -1;
        }
        if (character < 0) {
            return NULL;
        }
        if (out) {
            *out = put_character(*out, character);
        }
    }
}

static const uint8_t *skip_integer(const uint8_t *at, const uint8_t *end)
{
    at += *at == '-';
    if (at == end || !is_digit(*at)) {
        return NULL;
    }
    if (*at++ != '0') {
        while (at < end && is_digit(*at)) {
            at++;
        }
    }
    return at;
}

static const uint8_t *skip_number(const uint8_t *at, const uint8_t *end)
{
    at = skip_integer(at, end);
    if (!at) {
        return NULL;
    }
    if (at < end && *at == '.') {
        at++;
        if (at == end || !is_digit(*at)) {
            return NULL;
        }
        while (at < end && is_digit(*at)) {
            at++;
        }
    }
    if (at < end && (*at | 0x20) == 'e') {
        at++;
        at += at < end && (*at == '+' || *at == '-');
        if (at == end || !is_digit(*at)) {
            return NULL;
        }
        while (at < end && is_digit(*at)) {
            at++;
        }
    }
    return at;
}

static const uint8_t *skip_word(const uint8_t *at, const uint8_t *end, const char *word)
{
    size_t size = strlen(word);
    return (size_t)(end - at) >= size && memcmp(at, word, size) == 0 ? at + size : NULL;
}

static const uint8_t *skip_value(const uint8_t *at, const uint8_t *end, int depth);

/* What is in brackets, which begins after the first. */
static const uint8_t *skip_items(const uint8_t *at, const uint8_t *end, uint8_t closing, int depth)
{
    at = skip_blanks(at, end);
    if (at < end && *at == closing) {
        return at + 1;
    }
    for (;;) {
        if (closing == '}') {
            at = at < end && *at == '"' ? read_string(at + 1, end, NULL) : NULL;
            at = at ? skip_blanks(at, end) : NULL;
            if (!at || at == end || *at != ':') {
                return NULL;
            }
            at = skip_blanks(at + 1, end);
        }
        at = skip_value(at, end, depth);
        at = at ? skip_blanks(at, end) : NULL;
        if (!at || at == end || (*at != ',' && *at != closing)) {
            return NULL;
        }
        if (*at == closing) {
            return at + 1;
        }
        at = skip_blanks(at + 1, end);
    }
}

static const uint8_t *skip_value(const uint8_t *at, const uint8_t *end, int depth)
{
    if (at == end || depth == OBJECTS_DEPTH) {
        return NULL;
    }
    switch (*at) {
    case '"':
        return read_string(at + 1, end, NULL);
    case '{':
        return skip_items(at + 1, end, '}', depth + 1);
    case '[':
        return skip_items(at + 1, end, ']', depth + 1);
    case 't':
        return skip_word(at, end, "true");
    case 'f':
        return skip_word(at, end, "false");
    case 'n':
        return skip_word(at, end, "null");
    default:
        return skip_number(at, end);
    }
}

/* A value of a column. */
static const uint8_t *read_value(
    const ObjectsColumn *column, const uint8_t *at, const uint8_t *end, TextColumn *into, int64_t row)
{
    uint8_t *start = into->data + into->offsets[row], *out = start;
    if (at == end) {
        return NULL;
    }
    if (*at == 'n') {
        return column->is_needed ? NULL : skip_word(at, end, "null");
    }
    if (column->kind == OBJECTS_TEXT) {
        at = *at == '"' ? read_string(at + 1, end, &out) : NULL;
        if (!at || !scan_utf8(start, (size_t)(out - start))) {
            return NULL;
        }
    } else {
        const uint8_t *value = at;
        if (column->kind == OBJECTS_BOOLEAN) {
            at = *at == 't' ? skip_word(at, end, "true") : skip_word(at, end, "false");
        } else {
            at = skip_integer(at, end);
            int is_integer = at && !(at < end && (*at == '.' || (*at | 0x20) == 'e'));
            ptrdiff_t most = column->kind == OBJECTS_INTEGER ? 18 : 15;
            if (is_integer ? at - value > most : column->kind == OBJECTS_INTEGER) {
                return NULL;
            }
            at = is_integer ? at : skip_number(value, end);
        }
        if (!at) {
            return NULL;
        }
        out = put_text(out, value, (size_t)(at - value));
    }
    into->offsets[row + 1] = (int32_t)(out - into->data);
    into->valid[row >> 3] |= (uint8_t)(1 << (row & 7));
    return at;
}

/* The column of a name, which begins after its quote; `count` if there is none, and -1 if it is odd. */
static int32_t find_column(const ObjectsForm *form, const uint8_t **at, const uint8_t *end)
{
    const uint8_t *start = *at, *after = read_string(start, end, NULL);
    if (!after) {
        return -1;
    }
    *at = after;
    size_t size = (size_t)(after - start) - 1;
    if (memchr(start, '\\', size)) { /* it may be any name */
        return -1;
    }
    for (int32_t i = 0; i < form->count; i++) {
        if (form->columns[i].name.size == size && memcmp(form->columns[i].name.data, start, size) == 0) {
            return i;
        }
    }
    return form->is_strict ? -1 : form->count;
}

/* An object, which begins after its bracket, as a row of the columns. */
static const uint8_t *read_object(
    const ObjectsForm *form, const uint8_t *at, const uint8_t *end, TextColumn *columns, int64_t row)
{
    uint64_t is_there = 0; /* a bit for each column */
    for (int32_t i = 0; i < form->count; i++) {
        columns[i].offsets[row + 1] = columns[i].offsets[row];
        uint8_t *valid = &columns[i].valid[row >> 3];
        *valid = (uint8_t)(row & 7 ? *valid & ~(1 << (row & 7)) : 0);
    }
    at = skip_blanks(at, end);
    for (int is_first = 1; at < end && (*at != '}' || !is_first); is_first = 0) {
        int32_t column = *at++ == '"' ? find_column(form, &at, end) : -1;
        if (column < 0) {
            return NULL;
        }
        at = skip_blanks(at, end);
        if (at == end || *at != ':') {
            return NULL;
        }
        at = skip_blanks(at + 1, end);
        if (column < form->count) {
            if (is_there >> column & 1) {
                return NULL;
            }
            is_there |= (uint64_t)1 << column;
            at = read_value(&form->columns[column], at, end, &columns[column], row);
        } else {
            at = skip_value(at, end, 0);
        }
        at = at ? skip_blanks(at, end) : NULL;
        if (!at || at == end) {
            return NULL;
        }
        if (*at == '}') {
            break;
        }
        if (*at != ',') {
            return NULL;
        }
        at = skip_blanks(at + 1, end);
    }
    for (int32_t i = 0; i < form->count; i++) {
        if (form->columns[i].is_needed && !(is_there >> i & 1)) {
            return NULL;
        }
    }
    return at < end ? at + 1 : NULL;
}

RowsStop objects_read(const ObjectsForm *form, Text block, TextColumn *columns, RowsCounts *counts)
{
    const uint8_t *at = block.data, *end = block.data + block.size;
    for (;;) {
        counts->size = (size_t)(at - block.data);
        if (at == end) {
            return ROWS_END;
        }
        at = skip_blanks(at, end);
        if (at == end || *at == '\n') {
            counts->empty_lines++;
            at += at < end;
            continue;
        }
        if (*at != '{') {
            return ROWS_ODD;
        }
        if (!columns_have_room(columns, form->count, counts->rows, (size_t)(end - at))) {
            return ROWS_FULL;
        }
        at = read_object(form, at + 1, end, columns, counts->rows);
        at = at ? skip_blanks(at, end) : NULL;
        if (!at || (at < end && *at != '\n')) {
            return ROWS_ODD;
        }
        at += at < end;
        counts->rows++;
    }
}
