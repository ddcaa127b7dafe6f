/* The general layout of rows, percent-encoding and the naming rules, against a byte at a time. */
#include "check.h"
#include "text/escape.h"
#include "text/names.h"
#include "text/row.h"

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
    return NULL;
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
    *form = (Form){.pieces = pieces, .rules = (int)below(64)};
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
    size_t size = 0;
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
    const char *wrong = check_encoding();
    if (!wrong) {
        wrong = check_names();
    }
    return wrong ? wrong : check_rows();
}

static void check_report(void)
{
    printf("text agrees on %zu rows\n", checked);
}
