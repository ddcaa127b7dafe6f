/* Rows of CSV and JSON lines read as columns, and columns written as rows, against a byte at a time. */
#include "check.h"
#include "columns/fields.h"
#include "columns/join.h"
#include "columns/objects.h"

static size_t checked; /* rows */

enum { SIZE = 240, MOST = 64, COLUMNS = 4 };

static TextColumn columns[COLUMNS];

static void make_columns(size_t room, int64_t places)
{
    for (int i = 0; i < COLUMNS; i++) {
        columns[i] = (TextColumn){malloc(room + TEXT_SLACK), malloc(sizeof(int32_t) * (size_t)places),
            malloc((size_t)places / 8 + 1), room, places};
        columns[i].offsets[0] = 0;
    }
}

static void drop_columns(void)
{
    for (int i = 0; i < COLUMNS; i++) {
        free(columns[i].data);
        free(columns[i].offsets);
        free(columns[i].valid);
    }
}

static int is_text(int column, int64_t row, const uint8_t *text, size_t size)
{
    const int32_t *offsets = columns[column].offsets;
    return offsets[row + 1] - offsets[row] == (int32_t)size
           && memcmp(columns[column].data + offsets[row], text, size) == 0;
}

/* A block with slack after it, which a reader may read, but must not mind. */
static uint8_t *block_of(const uint8_t *bytes, size_t size)
{
    uint8_t *block = malloc(size + TEXT_SLACK);
    memcpy(block, bytes, size);
    fill(block + size, TEXT_SLACK);
    return block;
}

/* --- CSV --------------------------------------------------------------------------------------------------------------- */

typedef struct {
    uint8_t bytes[SIZE];
    size_t size;
} Field;

/* A row that begins at `*at`, by one byte after the other: 1 if it is whole, 0 if it is cut, -1 if it is odd. */
static int model_row(const uint8_t *block, size_t size, size_t *at, int is_last, Field *fields, int most, int *count)
{
    size_t i = *at;
    for (*count = 0;; i++) {
        Field none, *field = *count < most ? &fields[*count] : &none;
        field->size = 0;
        if (i < size && block[i] == '"') {
            for (i++; i < size && (block[i] != '"' || (i + 1 < size && block[i + 1] == '"')); i++) {
                field->bytes[field->size++] = block[i];
                i += block[i] == '"';
            }
            if (i >= size || (i + 1 == size && !is_last)) {
                return is_last ? -1 : 0;
            }
            i++;
        } else {
            while (i < size && block[i] != ';' && block[i] != '\n' && block[i] != '\r') {
                field->bytes[field->size++] = block[i++];
            }
        }
        ++*count;
        if (i == size) {
            *at = i;
            return is_last;
        }
        if (block[i] == ';') {
            continue;
        }
        if (block[i] == '\r' && i + 1 == size) {
            return is_last ? -1 : 0;
        }
        i += block[i] == '\r';
        *at = i + 1;
        return block[i] == '\n' ? 1 : -1;
    }
}

static size_t model_decode(Field *field)
{
    size_t out = 0;
    for (size_t i = 0; i < field->size; i++) {
        unsigned byte;
        char digits[3] = {0};
        if (field->bytes[i] == '%' && i + 2 < field->size) {
            memcpy(digits, field->bytes + i + 1, 2);
            if (strspn(digits, "0123456789abcdefABCDEF") == 2) {
                sscanf(digits, "%x", &byte);
                field->bytes[out++] = (uint8_t)byte;
                i += 2;
                continue;
            }
        }
        field->bytes[out++] = field->bytes[i];
    }
    return field->size = out;
}

static const char *check_fields(void)
{
    uint8_t bytes[SIZE];
    size_t size = below(SIZE);
    static const char often[] = "ab;c2F%+", seldom[] = "\"\r\n;\xc3\xa4\n\"";
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(below(below(2) ? 3 : 20) ? often[below(8)] : seldom[below(8)]);
    }
    int32_t count = 1 + (int32_t)below(4), places[4] = {0, -1, 1, 2};
    int is_last = (int)below(2), is_encoded = (int)below(2);
    FieldsForm form = {places, count, count < 3 ? 1 : count - 1, 0, ';', (uint8_t)is_encoded};
    size_t room = below(4) ? size : below(SIZE);
    int64_t most_rows = below(4) ? MOST * 4 : below(6) + 1;
    uint8_t *block = block_of(bytes, size);
    make_columns(room, most_rows);
    RowsCounts counts = {0};
    RowsStop stop = fields_read(&form, (Text){block, size}, is_last, columns, &counts);
    size_t at = 0, after = 0;
    int64_t rows = 0, empty_lines = 0, plus_signs = 0;
    int wrong = 0, state = 0;
    for (;;) {
        while (at < size && (block[at] == '\n' || (block[at] == '\r' && at + 1 < size && block[at + 1] == '\n'))) {
            at += block[at] == '\n' ? 1 : 2;
            empty_lines++;
        }
        after = at;
        if (at == size || rows == counts.rows) {
            break;
        }
        Field fields[4];
        int found;
        state = model_row(block, size, &at, is_last, fields, 4, &found);
        if (state != 1 || found != count) {
            wrong = 1; /* it gave more rows than there are */
            break;
        }
        plus_signs += is_encoded && memchr(fields[0].bytes, '+', fields[0].size) != NULL;
        if (is_encoded) {
            model_decode(&fields[0]);
        }
        for (int field = 0; field < count; field++) {
            if (places[field] >= 0) {
                wrong |= !is_text(places[field], rows, fields[field].bytes, fields[field].size);
            }
        }
        rows++;
    }
    wrong |= rows != counts.rows || after != counts.size || empty_lines != counts.empty_lines
             || plus_signs != counts.plus_signs;
    if (!wrong && at < size) { /* why it has stopped */
        Field fields[4];
        int found;
        state = model_row(block, size, &at, is_last, fields, 4, &found);
        int is_odd = state < 0 || (state == 1 && found != count);
        if (stop == ROWS_END) {
            wrong = state != 0;
        } else if (stop == ROWS_FULL) {
            wrong = rows + 1 < most_rows && room >= size;
        } else { /* what is not UTF-8 is odd before the row's end is known */
            wrong = !is_odd && count < 3;
        }
    } else if (!wrong) {
        wrong = stop != ROWS_END;
    }
    checked += (size_t)rows;
    drop_columns();
    free(block);
    return wrong ? "fields are wrong" : NULL;
}

/* --- JSON lines -------------------------------------------------------------------------------------------------------- */

typedef struct {
    uint8_t bytes[8 * SIZE];
    size_t size;
} Out;

static void put(Out *out, const char *text)
{
    memcpy(out->bytes + out->size, text, strlen(text));
    out->size += strlen(text);
}

static void put_blanks(Out *out)
{
    static const char *const blanks[] = {"", " ", "\t ", "\r"};
    put(out, blanks[below(8) < 5 ? 0 : below(4)]);
}

/* A string as JSON, and what it means. */
static void put_string(Out *out, Out *meaning)
{
    static const char *const pieces[][2] = {{"a", "a"}, {"photos/2026/", "photos/2026/"}, {"\\n", "\n"}, {"\\\"", "\""},
        {"\\u00e4", "\xc3\xa4"}, {"\\ud83d\\ude00", "\xf0\x9f\x98\x80"}, {"\xe4\xbd\xa0", "\xe4\xbd\xa0"}, {"\\/", "/"},
        {"{[,:", "{[,:"}, {"\\u20AC", "\xe2\x82\xac"}, {"\\\\", "\\"}};
    put(out, "\"");
    for (uint32_t i = below(5); i; i--) {
        const char *const *piece = pieces[below(11)];
        put(out, piece[0]);
        put(meaning, piece[1]);
    }
    put(out, "\"");
}

static const char *check_objects(void)
{
    static const char *const others[] = {
        "[1, {\"key\": \"no\"}]", "{}", "-0.5e+3", "[]", "\"x\\\"y\"", "true", "{\"a\": [null]}"};
    static const char *const integers[] = {"0", "-12", "123456789012345678", "7"};
    static const char *const numbers[] = {"1.5", "-2e9", "0", "10E-2"};
    ObjectsColumn kinds[] = {{{(const uint8_t *)"key", 3}, OBJECTS_TEXT, 1},
        {{(const uint8_t *)"note", 4}, OBJECTS_TEXT, 0}, {{(const uint8_t *)"size", 4}, OBJECTS_INTEGER, 0},
        {{(const uint8_t *)"ok", 2}, OBJECTS_BOOLEAN, 0}};
    int has_numbers = below(3) == 0;
    kinds[2].kind = has_numbers ? OBJECTS_NUMBER : OBJECTS_INTEGER;
    ObjectsForm form = {kinds, 4, 0};
    static Out text, meanings[MOST][4];
    uint8_t is_there[MOST][4];
    int64_t rows = 0, empty_lines = 0;
    text.size = 0;
    while (text.size < 4 * SIZE && rows < MOST && below(8)) {
        if (below(6) == 0) {
            put_blanks(&text);
            put(&text, "\n");
            empty_lines++;
            continue;
        }
        put_blanks(&text);
        put(&text, "{");
        memset(is_there[rows], 0, 4);
        int first = below(2) ? 0 : 3; /* in order, or not */
        for (int i = 0; i < 4; i++) {
            int column = first ? 3 - i : i;
            meanings[rows][column].size = 0;
            if (column && below(3) == 0) {
                continue;
            }
            put_blanks(&text);
            if (text.bytes[text.size - 1] != '{'
                && is_there[rows][0] + is_there[rows][1] + is_there[rows][2] + is_there[rows][3]) {
                put(&text, ",");
            }
            put_blanks(&text);
            is_there[rows][column] = 1;
            put(&text, column == 0 ? "\"key\"" : column == 1 ? "\"note\"" : column == 2 ? "\"size\"" : "\"ok\"");
            put_blanks(&text);
            put(&text, ":");
            put_blanks(&text);
            if (column && below(5) == 0) {
                put(&text, "null");
                is_there[rows][column] = 2;
            } else if (column < 2) {
                put_string(&text, &meanings[rows][column]);
            } else {
                const char *value =
                    column == 3 ? (below(2) ? "true" : "false") : (has_numbers ? numbers : integers)[below(4)];
                put(&text, value);
                put(&meanings[rows][column], value);
            }
            if (below(4) == 0) {
                put(&text, ", \"other\":");
                put(&text, others[below(7)]);
            }
        }
        put_blanks(&text);
        put(&text, "}");
        put_blanks(&text);
        put(&text, "\n");
        rows++;
    }
    int is_changed = below(2) && text.size;
    if (is_changed) {
        static const char changes[] = "\"{}[],:\\\nu0e.- \xff\x01n";
        text.bytes[below((uint32_t)text.size)] = (uint8_t)changes[below(18)];
    }
    uint8_t *block = block_of(text.bytes, text.size);
    size_t room = below(4) ? text.size : below(4 * SIZE);
    int64_t places = below(4) ? MOST + 1 : below(6) + 1;
    make_columns(room, places);
    RowsCounts counts = {0};
    RowsStop stop = objects_read(&form, (Text){block, text.size}, columns, &counts);
    int wrong = counts.rows > rows || counts.rows >= places || counts.size > text.size
                || (stop == ROWS_END) != (counts.size == text.size);
    wrong |= stop == ROWS_FULL && counts.rows + 1 < places && room >= text.size;
    if (!is_changed && !wrong) {
        wrong = stop == ROWS_ODD || (stop == ROWS_END && (counts.rows != rows || counts.empty_lines != empty_lines));
        for (int64_t row = 0; row < counts.rows; row++) {
            for (int column = 0; column < 4; column++) {
                const Out *meaning = &meanings[row][column];
                int is_valid = columns[column].valid[row >> 3] >> (row & 7) & 1;
                wrong |=
                    is_valid != (is_there[row][column] == 1) || !is_text(column, row, meaning->bytes, meaning->size);
            }
        }
    }
    checked += (size_t)counts.rows;
    drop_columns();
    free(block);
    return wrong ? "objects are wrong" : NULL;
}

/* --- Rows of text ------------------------------------------------------------------------------------------------------ */

static void put_byte(Out *out, uint8_t byte)
{
    out->bytes[out->size++] = byte;
}

static void model_value(Out *out, const JoinPiece *piece, const uint8_t *text, size_t size, int is_null)
{
    int is_json = piece->form == JOIN_JSON || piece->form == JOIN_URL;
    int has_quotes = is_json;
    if (is_null) {
        put(out, piece->form == JOIN_PLAIN || piece->form == JOIN_CSV ? "" : "null");
        return;
    }
    for (size_t i = 0; i < size; i++) {
        has_quotes |= piece->form == JOIN_CSV && text[i] && strchr("\",\r\n", text[i]);
    }
    put(out, has_quotes ? "\"" : "");
    for (size_t i = 0; i < size; i++) {
        char escape[8];
        if (piece->form == JOIN_CSV && text[i] == '"') {
            put(out, "\"\"");
        } else if (piece->form == JOIN_JSON && (text[i] < 32 || text[i] == '"' || text[i] == '\\')) {
            const char *place = text[i] ? strchr("\"\"\\\\\bb\ff\nn\rr\tt", text[i]) : NULL;
            snprintf(escape, sizeof escape, place ? "\\%c" : "\\u%04x", place ? place[1] : text[i]);
            put(out, escape);
        } else {
            put_byte(out, text[i]);
        }
    }
    put(out, has_quotes ? "\"" : "");
}

static const char *check_join(void)
{
    enum { ROWS = 12 };
    static Out expected, found;
    uint8_t bytes[2][SIZE], valid[2][4];
    int32_t offsets[2][ROWS + 1];
    int64_t rows = below(ROWS + 1), row = 0;
    JoinPiece pieces[3] = {{.before = {(const uint8_t *)"{a: ", 4}}, {.before = {(const uint8_t *)", ", 2}},
        {.before = {(const uint8_t *)"}\n", 2}}};
    for (int i = 0; i < 2; i++) {
        uint32_t size = below(80);
        for (uint32_t place = 0; place < size; place++) {
            bytes[i][place] = (uint8_t)(below(12)  ? 'a' + below(26)
                                        : below(3) ? (uint8_t)"\",\r\n\\\b\f\t\v"[below(9)]
                                                   : below(256));
        }
        for (int64_t place = 0; place <= rows; place++) {
            offsets[i][place] = (int32_t)below(size + 1);
        }
        for (int64_t place = rows; place-- > 0;) {
            offsets[i][place] = offsets[i][place] < offsets[i][place + 1] ? offsets[i][place] : offsets[i][place + 1];
        }
        fill(valid[i], 4);
        pieces[i].data = exact_copy(bytes[i], size);
        pieces[i].offsets = offsets[i];
        pieces[i].valid = below(2) ? valid[i] : NULL;
        pieces[i].first_bit = below(8);
        pieces[i].form = (JoinForm)below(5);
    }
    expected.size = found.size = 0;
    for (int64_t each = 0; each < rows; each++) {
        for (int i = 0; i < 3; i++) {
            for (size_t place = 0; place < pieces[i].before.size; place++) {
                put_byte(&expected, pieces[i].before.data[place]);
            }
            if (i < 2) {
                int64_t bit = pieces[i].first_bit + each;
                int is_null = pieces[i].valid && !(pieces[i].valid[bit >> 3] >> (bit & 7) & 1);
                model_value(&expected, &pieces[i], bytes[i] + offsets[i][each],
                    (size_t)(offsets[i][each + 1] - offsets[i][each]), is_null);
            }
        }
    }
    while (row < rows) {
        size_t bound = join_bound(pieces, 3, row), room = below(2) ? bound : bound + below(300);
        uint8_t *out = malloc(room);
        int64_t before = row;
        size_t size = join_rows(pieces, 3, &row, rows, out, room);
        memcpy(found.bytes + found.size, out, size);
        found.size += size;
        free(out);
        if (row == before) {
            break;
        }
    }
    free((void *)(uintptr_t)pieces[0].data);
    free((void *)(uintptr_t)pieces[1].data);
    checked += (size_t)rows;
    int is_right = row == rows && found.size == expected.size && memcmp(found.bytes, expected.bytes, found.size) == 0;
    return is_right ? NULL : "rows of text are wrong";
}

static const char *check_start(void)
{
    return NULL;
}

static const char *check_round(void)
{
    static const char *(*const checks[])(void) = {check_fields, check_objects, check_join};
    return check_all(checks, 3);
}

static void check_report(void)
{
    printf("rows agree on %zu\n", checked);
}
