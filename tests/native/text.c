/* The general layout of rows, percent-encoding and the naming rules, against a byte at a time. */
#include "check.h"
#include "text/escape.h"
#include "text/names.h"
#include "text/row.h"
#include "text/tables.h"

static size_t checked; /* rows */

static int is_safe(uint8_t byte, int where)
{
    const char *others = where == PATH ? "-_.~/" : "-_.~";
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9')
           || (byte && strchr(others, byte));
}

static size_t encode(uint8_t *out, const uint8_t *data, size_t size, int where)
{
    size_t end = 0;
    for (size_t i = 0; i < size; i++) {
        if (is_safe(data[i], where)) {
            out[end++] = data[i];
        } else {
            end += (size_t)sprintf((char *)out + end, "%%%02X", data[i]);
        }
    }
    return end;
}

static const char *check_tables(void);

/* The two forms of the one rule, for every byte. */
static const char *check_start(void)
{
    static const uint8_t low[] = {SAFE_LOW}, high[] = {SAFE_HIGH};
    for (int i = 0; i < 256; i++) {
        uint8_t byte = (uint8_t)i;
        int safe = is_safe(byte, PATH), in_tables = i < 128 && (low[byte & 15] & high[byte >> 4]) != 0;
        if (SAFE(uint8_t, byte) != safe || in_tables != safe) {
            return "SAFE, SAFE_LOW and SAFE_HIGH differ";
        }
        for (int where = COMPONENT; where <= PATH; where++) {
            uint8_t text[4] = {0};
            size_t size = encode(text, &byte, 1, where);
            if (escapes_of[where][i].size != size || memcmp(escapes_of[where][i].text, text, size)) {
                return "an Escape is wrong";
            }
        }
        if ((hex_digit(byte) >= 0) != (byte && strchr("0123456789abcdefABCDEF", byte) != NULL)) {
            return "hex_digit is wrong";
        }
    }
    return check_tables();
}

/* Bytes of which most are safe; returns their number. */
static size_t some_text(uint8_t *out, size_t most)
{
    size_t size = below(8) ? below((uint32_t)(most < 60 ? most : 60)) : below((uint32_t)most);
    for (size_t i = 0; i < size; i++) {
        out[i] = below(9) ? (uint8_t)"abcXYZ019-_~a/.%+ "[below(18)] : (uint8_t)below(256);
    }
    return size;
}

static const char *check_encoding(void)
{
    enum { MOST = 300 };
    uint8_t data[MOST], wanted[3 * MOST + 1];
    size_t size = some_text(data, MOST);
    int where = (int)below(2);
    uint8_t *text = exact_copy(data, size), *out = calloc(3 * size + TEXT_SLACK, 1);
    size_t length = encode(wanted, data, size, where);
    int right = put_encoded(out, (Text){text, size}, where) == out + length && memcmp(out, wanted, length) == 0;
    right &= needs_no_escape((Text){text, size}, where) == (length == size);
    uint8_t *encoded = exact_copy(wanted, length);
    right &= put_decoded(out, (Text){encoded, length}, 0) == out + size && memcmp(out, data, size) == 0;
    right &= where == PATH || is_canonical((Text){encoded, length});
    uint8_t *end = put_decoded(out, (Text){text, size}, 1); /* of what nobody encoded: it only must stay in its room */
    right &= (size_t)(end - out) <= size;
    if (is_canonical((Text){text, size})) { /* then it is what its meaning is encoded as */
        end = put_decoded(out, (Text){text, size}, 0);
        length = encode(wanted, out, (size_t)(end - out), COMPONENT);
        right &= length == size && memcmp(wanted, text, size) == 0;
    }
    free(encoded);
    free(out);
    free(text);
    return right ? NULL : "percent-encoding is wrong";
}

/* The rules as the page has them. */
static int is_name(const uint8_t *key, size_t size)
{
    if (size == 0 || size > 850 || key[0] == '/' || key[0] == '\\') {
        return 0;
    }
    for (size_t i = 0, segment = 0; i <= size; i++) {
        if (i == size || key[i] == '/') {
            if ((i - segment == 1 && key[segment] == '.') || (i - segment == 2 && !memcmp(key + segment, "..", 2))) {
                return 0;
            }
            segment = i + 1;
        } else if (key[i] >= 0x18 && key[i] <= 0x1b) {
            return 0;
        }
    }
    return 1;
}

enum { MOST_KEY = 900, MOST_VALUE = 90, MOST_TEXT = 70, COLUMNS = 3, PIECES = 12, ROWS = 24 };

/* A form of random pieces, in memory that lasts for a round. */
static void some_form(Form *form, Piece pieces[PIECES], uint8_t texts[PIECES][MOST_TEXT + TEXT_SLACK])
{
    static uint8_t head[MOST_TEXT + TEXT_SLACK];
    *form = (Form){.pieces = pieces, .rules = (int)below(64)};
    form->head = (Text){head, below(2) ? below(MOST_TEXT) : 0};
    fill(head, form->head.size);
    form->http_size = form->head.size;
    form->http_count = below(6);
    form->count = form->http_count + 1 + below(6);
    for (size_t i = 0; i < form->count; i++) {
        int in_http = i < form->http_count;
        ptrdiff_t kind = (ptrdiff_t)below(COLUMNS + 3) - 3;
        if (in_http && kind == PIECE_SIGNATURE) {
            kind = PIECE_TEXT;
        }
        pieces[i] = (Piece){kind, {NULL, 0}};
        if (kind == PIECE_TEXT) {
            size_t size = below(MOST_TEXT);
            fill(texts[i], size);
            pieces[i].text = (Text){texts[i], size};
            *(in_http ? &form->http_size : &form->text_size) += size;
        } else if (kind == PIECE_SIGNATURE) {
            form->signs = 1;
            form->text_size += SHA1_HEX;
        } else if (kind == PIECE_KEY) {
            ++*(in_http ? &form->http_keys : &form->text_keys);
        } else if ((size_t)kind >= form->columns) {
            form->columns = (size_t)kind + 1;
        }
    }
}

/* What form_lay_out must write. */
static size_t wanted_piece(uint8_t *out, const Piece *piece, Text key, const Text *values, int in_http)
{
    switch (piece->kind) {
    case PIECE_TEXT:
        memcpy(out, piece->text.data, piece->text.size);
        return piece->text.size;
    case PIECE_SIGNATURE:
        memset(out, '?', SHA1_HEX);
        return SHA1_HEX;
    case PIECE_KEY:
        if (in_http) {
            memcpy(out, key.data, key.size);
            return key.size;
        }
        return encode(out, key.data, key.size, PATH);
    default:
        return encode(out, values[piece->kind].data, values[piece->kind].size, COMPONENT);
    }
}

static int check_row(const Form *form, Text key, const Text *values, const sha1_row *row, Text text)
{
    static uint8_t wanted[4 * MOST_KEY + PIECES * (3 * MOST_VALUE + MOST_TEXT) + 3 * SHA1_BLOCK],
        with_slash[MOST_KEY + 1];
    size_t size = form->head.size;
    memcpy(wanted, form->head.data, size);
    if (form->rules & RULE_DROP_SLASH && key.size && key.data[0] == '/') {
        key = (Text){key.data + 1, key.size - 1};
    }
    if (!(form->rules & RULE_KEEP_SLASH && key.size && key.data[0] == '/')) {
        with_slash[0] = '/';
        memcpy(with_slash + 1, key.data, key.size);
        key = (Text){with_slash, key.size + 1};
    }
    for (size_t i = 0; i < form->http_count; i++) {
        size += wanted_piece(wanted + size, &form->pieces[i], key, values, 1);
    }
    sha1_pad(wanted, size, 0);
    if (row->size != size || memcmp(row->http, wanted, sha1_blocks(size) * SHA1_BLOCK)) {
        return 0;
    }
    size = 0;
    if (form->signs) {
        memset(row->hole, '?', SHA1_HEX);
    }
    for (size_t i = form->http_count; i < form->count; i++) {
        if (form->pieces[i].kind == PIECE_SIGNATURE) { /* only the last one's hole is known */
            memset((uint8_t *)(uintptr_t)text.data + size, '?', SHA1_HEX);
        }
        size += wanted_piece(wanted + size, &form->pieces[i], key, values, 0);
    }
    return text.size == size && memcmp(text.data, wanted, size) == 0;
}

static int fault_is_right(const Form *form, Text key, Fault fault)
{
    if (fault == FAULT_MISSING) {
        return form->rules & RULE_REQUIRED && key.size == 0;
    }
    if (form->rules & RULE_DROP_SLASH && key.size && key.data[0] == '/') {
        key = (Text){key.data + 1, key.size - 1};
    }
    int is_text = !(form->rules & RULE_UTF8) || scan_utf8(key.data, key.size);
    int fits = !(form->rules & RULE_STRICT) || is_name(key.data, key.size);
    return fault == FAULT_NONE ? is_text && fits : fault == FAULT_NOT_UTF8 ? !is_text : !fits;
}

/* Rows laid out in a tile, in rooms of exactly their promised sizes. */
static const char *check_rows(void)
{
    static uint8_t texts[PIECES][MOST_TEXT + TEXT_SLACK], bytes[MOST_KEY];
    Piece pieces[PIECES];
    Form form;
    Text keys[ROWS], values[ROWS * COLUMNS], out_texts[ROWS];
    Fault faults[ROWS];
    sha1_row rows[ROWS];
    size_t count = 1 + below(ROWS), room = TEXT_SLACK, hashed, done = 0, signed_row = 0;
    int right = 1;
    some_form(&form, pieces, texts);
    for (size_t i = 0; i < count; i++) {
        size_t size = below(20) ? some_text(bytes, 80) : some_text(bytes, MOST_KEY);
        keys[i] = (Text){exact_copy(bytes, size), size};
        faults[i] = below(9) ? FAULT_NONE : FAULT_NULL_ROW;
        for (size_t j = 0; j < COLUMNS; j++) {
            size = some_text(bytes, MOST_VALUE);
            values[i * COLUMNS + j] = (Text){exact_copy(bytes, size), size};
        }
        room += form_text_bound(&form, keys[i], &values[i * COLUMNS]);
    }
    Rows all = {keys, values, COLUMNS, faults, out_texts};
    size_t bound = form_tile_bound(&form, &all, 0, count), given = below(4) ? room : below((uint32_t)room);
    uint8_t *http = calloc(bound, 1), *out = malloc(given + 1); /* scan_odd looks at bytes after a key, too */
    Space space = {aligned(http), out, out + given};
    done = form_lay_out_tile(&form, &all, 0, count, &space, rows, &hashed);
    right &= given < room || done == count;
    for (size_t i = 0; i < done; i++) {
        if (faults[i] == FAULT_NULL_ROW) {
            continue;
        }
        right &= fault_is_right(&form, keys[i], faults[i]);
        if (faults[i] == FAULT_NONE && form.signs) {
            right &= check_row(&form, keys[i], &values[i * COLUMNS], &rows[signed_row++], out_texts[i]);
            checked++;
        }
    }
    right &= signed_row == hashed;
    for (size_t i = 0; i < count; i++) {
        free((void *)(uintptr_t)keys[i].data);
        for (size_t j = 0; j < COLUMNS; j++) {
            free((void *)(uintptr_t)values[i * COLUMNS + j].data);
        }
    }
    free(http);
    free(out);
    return right ? NULL : "a row is laid out wrongly";
}

/* The pieces of a URL like Signer's, whose rows differ by method and expiry. */
static const char VARIED_HEAD[] = "get\n";
static const char BEFORE[] = "https://b", AFTER[] =
                                              "?q-sign-time=1764000000%3B1764000900&q-key-time=1764000000%3B1764000900"
                                              "&q-header-list=&q-signature=";

/* One row by itself: its HttpString, the key of its KeyTime, and its text. */
static int check_row_form(
    const sha1_engine *engine, const sha1_key *secret, Text key, const char *method, uint32_t seconds, Text text)
{
    uint8_t http[400] = {0}, wanted[800], hole[SHA1_HEX];
    char key_time[40];
    sha1_key own;
    int end = seconds ? 1764000000 + (int)seconds : 1764000900, size = 0;
    for (const char *byte = method; *byte; byte++) {
        http[size++] = (uint8_t)(*byte >= 'A' && *byte <= 'Z' ? *byte + 32 : *byte);
    }
    size += sprintf((char *)http + size, "\n/%.*s\n\n\n", (int)key.size, (const char *)key.data);
    sha1_row row = {http, (size_t)size, hole, &own};
    sha1_pad(http, row.size, 0);
    sha1_prepare_key_time(
        &own, secret, (uint8_t *)key_time, (size_t)sprintf(key_time, "1764000000;%d", end), engine->compress);
    sha1_sign(engine, NULL, &row, 1);
    size = sprintf((char *)wanted,
        "https://b/%.*s?q-sign-time=1764000000%%3B%d&q-key-time=1764000000%%3B%d&q-header-list=&q-signature=%.*s",
        (int)key.size, (const char *)key.data, end, end, SHA1_HEX, (const char *)hole);
    return text.size == (size_t)size && memcmp(text.data, wanted, text.size) == 0;
}

/* Rows of many methods and expiries, by one set of tables, against each by itself; odd values are left to the caller. */
static const char *check_row_forms(void)
{
    enum { TILES = 3, VALUES = 2 };
    static const char *methods[] = {"GET", "put", "HEAD", "M-SEARCH", "D", "BASELINE-CONTROL", "G T", "",
        "a-method-of-thirty-two-character", "a-method-of-thirty-one-charact"};
    static uint8_t frame_memory[4096];
    sha1_engine engines[SHA1_ENGINES], *engine = &engines[below((uint32_t)sha1_engines(engines, cpu_features()))];
    Piece pieces[] = {{PIECE_KEY, {0}}, {PIECE_TEXT, {(const uint8_t *)"\n\n\n                                ", 3}},
        {PIECE_TEXT, {(const uint8_t *)BEFORE, sizeof BEFORE - 1}}, {PIECE_KEY, {0}},
        {PIECE_TEXT, {(const uint8_t *)AFTER, sizeof AFTER - 1}}, {PIECE_SIGNATURE, {0}}};
    Form form = {.pieces = pieces,
        .http_count = 2,
        .count = 6,
        .http_size = 7,
        .http_keys = 1,
        .text_keys = 1,
        .signs = 1,
        .text_size = sizeof BEFORE + sizeof AFTER - 2 + SHA1_HEX,
        .rules = RULE_STRICT};
    static uint8_t head[sizeof VARIED_HEAD + TEXT_SLACK], texts[3][sizeof AFTER + TEXT_SLACK];
    memcpy(head, VARIED_HEAD, sizeof VARIED_HEAD);
    form.head = (Text){head, sizeof VARIED_HEAD - 1};
    for (int i = 0; i < 3; i++) { /* with the slack that is read after them */
        Piece *piece = &pieces[(int[]){1, 2, 4}[i]];
        memcpy(texts[i], piece->text.data, piece->text.size);
        piece->text.data = texts[i];
    }
    form.end_back[0] = sizeof AFTER - 1 - strlen("?q-sign-time=1764000000%3B");
    form.end_back[1] = form.end_back[0] - strlen("1764000900&q-key-time=1764000000%3B");
    if (engine->lay && below(2)) {
        const Text frame[5] = {{(const uint8_t *)"get\n/", 5}, {texts[0], 3}, {(const uint8_t *)"https://b/", 10},
            {texts[2], sizeof AFTER - 1}, {texts[0], 0}};
        memset(frame_memory, 0, sizeof frame_memory);
        frame_set(&form.frame, frame, frame_memory);
        form.lay = engine->lay;
    }
    sha1_key secret, usual;
    uint8_t bytes[SHA1_BLOCK];
    fill(bytes, sizeof bytes);
    sha1_prepare(&secret, bytes, sizeof bytes, bytes, 0);
    sha1_prepare_key_time(&usual, &secret, (const uint8_t *)"1764000000;1764000900", 21, engine->compress);
    const Differences differences = {&form, &usual, &secret, engine->compress, 0, 1, 1764000000, 0};
    Tables *tables = tables_new(&differences);
    int right = 1;
    for (int tile = 0; right && tile < TILES; tile++) {
        Text keys[ROWS], values[ROWS * VALUES], out_texts[ROWS];
        Fault faults[ROWS];
        char names[ROWS][8], digits[ROWS][16];
        const char *used[ROWS];
        uint32_t seconds[ROWS], many = below(3) ? 3 : 100000;
        sha1_row rows[ROWS];
        RowForm forms[ROWS];
        int full;
        size_t count = 1 + below(ROWS), room = TEXT_SLACK, hashed, found;
        for (size_t i = 0; i < count; i++) {
            keys[i] = (Text){(const uint8_t *)names[i], (size_t)sprintf(names[i], "k%u", below(100000))};
            used[i] = methods[below(below(6) ? 6 : 10)];
            seconds[i] = below(5) ? 1 + below(many) : 0;
            faults[i] = below(9) ? FAULT_NONE : FAULT_NULL_ROW;
            values[2 * i] = (Text){exact_copy(used[i], strlen(used[i])), strlen(used[i])};
            values[2 * i + 1] = (Text){NULL, 0};
            if (seconds[i]) {
                size_t size = (size_t)sprintf(digits[i], "%u", seconds[i]);
                values[2 * i + 1] = (Text){exact_copy(digits[i], size), size};
            }
            room += form_text_bound(&form, keys[i], NULL);
        }
        Rows all = {keys, values, VALUES, faults, out_texts};
        tables_begin(tables);
        found = tables_find(tables, &all, 0, count, forms, &full);
        right &= !full;
        for (size_t i = 0; i < count && i <= found; i++) { /* it stops at the first method that is not one */
            int odd = faults[i] == FAULT_NONE && (!used[i][0] || strchr(used[i], ' ') || strlen(used[i]) > 31);
            right &= odd == (i == found);
        }
        size_t bound = tables_tile_bound(forms, &all, 0, found);
        uint8_t *http = calloc(bound, 1), *out = malloc(room);
        Space space = {aligned(http), out, out + room};
        right &= tables_lay_out_tile(forms, &all, 0, found, &space, rows, &hashed) == found;
        sha1_sign(engine, NULL, rows, hashed);
        for (size_t i = 0; i < found; i++) {
            if (faults[i] == FAULT_NONE) {
                right &= check_row_form(engine, &secret, keys[i], used[i], seconds[i], out_texts[i]);
                checked++;
            }
        }
        for (size_t i = 0; i < VALUES * count; i++) {
            free((void *)(uintptr_t)values[i].data);
        }
        free(http);
        free(out);
    }
    tables_free(tables);
    return right ? NULL : "a row that differs is laid out or signed wrongly";
}

/* Texts that the hash puts into one set of a table: more than the set holds. check_tables fails if the hash changes. */
static const char *const ALIKE_METHODS[] = {"M0000", "M0834", "M0963", "M1053", "M1758", "M1887"};
static const char *const ALIKE_SECONDS[] = {
    "1", "749", "1497", "2245", "2550", "2993", "3298", "3741", "4046", "4489", "4794"};

/* The result of tables_find for rows with these values; NULL is a null. */
static size_t find_rows(
    Tables *tables, const char *const *methods, const char *const *seconds, size_t count, RowForm *forms, int *full)
{
    Text keys[16] = {{0}}, values[32];
    Fault faults[16] = {FAULT_NONE};
    for (size_t i = 0; i < count; i++) {
        const char *pair[] = {methods ? methods[i] : "get", seconds ? seconds[i] : NULL};
        for (size_t j = 0; j < 2; j++) {
            values[2 * i + j] = (Text){(const uint8_t *)pair[j], pair[j] ? strlen(pair[j]) : 0};
        }
    }
    Rows rows = {keys, values, 2, faults, NULL};
    return tables_find(tables, &rows, 0, count, forms, full);
}

static int has_head(const RowForm *found, const char *method)
{
    const Form *form = found->form;
    size_t size = strlen(method);
    return form->head.size == size + 1 && form->http_size == 3 + size + 1 && form->head.data[size] == '\n'
           && form->head.data[0] == 'm' && memcmp(form->head.data + 1, method + 1, size - 1) == 0;
}

/* The tables' places: what a tile has found stays until the tile ends, and what was used last stays longest. */
static const char *check_tables(void)
{
    enum { WAYS = 4, KEY_WAYS = 8 };
    sha1_key secret, usual;
    Form form = {.head = {(const uint8_t *)"get\n", 4}, .http_size = 7};
    RowForm forms[16];
    int full, right = 1;
    sha1_prepare(&secret, (const uint8_t *)"key", 3, (const uint8_t *)"", 0);
    sha1_prepare_key_time(&usual, &secret, (const uint8_t *)"1764000000;1764000900", 21, sha1_compress_portable);
    const Differences differences = {&form, &usual, &secret, sha1_compress_portable, 0, 1, 1764000000, 0};
    Tables *tables = tables_new(&differences);
    tables_begin(tables);
    right &= find_rows(tables, ALIKE_METHODS, NULL, 6, forms, &full) == WAYS && full;
    right &= find_rows(tables, NULL, ALIKE_SECONDS, 11, forms + 5, &full) == KEY_WAYS && full;
    for (int i = 0; i < WAYS; i++) {
        right &= has_head(&forms[i], ALIKE_METHODS[i]) && forms[i].key == &usual && !forms[i].end;
    }
    tables_begin(tables); /* one more method takes the place of one that was not used again */
    const char *again[] = {ALIKE_METHODS[0], ALIKE_METHODS[4]};
    right &= find_rows(tables, again, NULL, 2, forms, &full) == 2;
    right &= has_head(&forms[0], again[0]) && has_head(&forms[1], again[1]);
    const char *odd[] = {
        "", "1x", "x", "-5", " 5", "0", "00000000900", "4294967296", "9999999999", "18446744073709551617"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        right &= find_rows(tables, NULL, &odd[i], 1, forms, &full) == 0 && !full;
    }
    const char *whole[] = {"900", NULL, "0000000900", "4294967295"};
    right &= find_rows(tables, NULL, whole, 4, forms, &full) == 4;
    right &= memcmp(forms[0].end, "1764000900", END_DIGITS) == 0 && !forms[1].end && forms[2].key == forms[0].key;
    right &= memcmp(forms[3].end, "6058967295", END_DIGITS) == 0;
    const char *nothing = NULL;
    right &= find_rows(tables, &nothing, NULL, 1, forms, &full) == 0 && !full;
    tables_free(tables);
    form.columns = 1; /* the first value is a parameter's, and a null is left to the caller */
    const Differences with_column = {&form, &usual, &secret, sha1_compress_portable, -1, 1, 1764000000, 0};
    tables = tables_new(&with_column);
    tables_begin(tables);
    right &= find_rows(tables, NULL, NULL, 1, forms, &full) == 1;
    right &= find_rows(tables, &nothing, NULL, 1, forms, &full) == 0 && !full;
    tables_free(tables);
    return right ? NULL : "the tables of rows that differ are wrong, or their hash has changed";
}

static const char *check_names(void)
{
    uint8_t bytes[MOST_KEY];
    size_t size = below(30);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)"a./\\\x17\x18\x1b\x1c"[below(8)];
    }
    uint8_t *key = exact_copy(bytes, size);
    int right = (key_fault((Text){key, size}) == FAULT_NONE) == is_name(key, size);
    free(key);
    return right ? NULL : "key_fault is wrong";
}

static const char *check_round(void)
{
    static const char *(*const checks[])(void) = {check_encoding, check_names, check_row_forms, check_rows};
    return check_all(checks, 4);
}

static void check_report(void)
{
    printf("text agrees on %zu rows\n", checked);
}
