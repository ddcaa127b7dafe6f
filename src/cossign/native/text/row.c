/* The general layout: any pieces, any key that passes the rules. lay.h has the usual row. */
#include "row.h"

#include "escape.h"

static_assert(FRAME_SLACK >= SHA1_BLOCK + TEXT_SLACK, "an engine reads whole vectors after a frame's texts");

/* The key's place in HttpString, or before it where HttpString has none: in our own memory it may be read in vectors. */
typedef struct {
    uint8_t *raw;
    size_t size;
    int slash; /* one stands before it */
    int plain; /* it needs no escape */
} KeyPlace;

static Fault lay_out_key(const Form *form, uint8_t *place, Text key, KeyPlace *key_place)
{
    const int rules = form->rules;
    place[0] = '/';
    key_place->raw = place + key_place->slash;
    key_place->size = key.size;
    key_place->plain = put_key(key_place->raw, key.data, key.size) && key_place->slash;
    if (!key_place->plain && rules & RULE_UTF8 && !scan_utf8(key.data, key.size)) {
        return FAULT_NOT_UTF8;
    }
    if (rules & RULE_STRICT
        && (key.size - 1 >= KEY_MAX || key_place->raw[0] == '/' || key_place->raw[0] == '\\'
            || (!key_place->plain && scan_odd(key_place->raw, key.size)))) {
        return key_fault(key);
    }
    return FAULT_NONE;
}

static uint8_t *put_row_text(const Form *form, uint8_t *out, const KeyPlace *key, const Text *values, sha1_row *row)
{
    for (const Piece *piece = form->pieces + form->http_count; piece < form->pieces + form->count; piece++) {
        if (piece->kind == PIECE_TEXT) {
            out = put_text(out, piece->text.data, piece->text.size);
        } else if (piece->kind == PIECE_KEY) {
            out[0] = '/';
            out += key->slash;
            out = key->plain ? put_text(out, key->raw, key->size) : put_encoded(out, (Text){key->raw, key->size}, PATH);
        } else if (piece->kind == PIECE_SIGNATURE) {
            row->hole = out;
            out += SHA1_HEX;
        } else {
            out = put_encoded(out, values[piece->kind], COMPONENT);
        }
    }
    return out;
}

Fault form_lay_out(const Form *form, Space *space, sha1_row *row, Text *text, Text key, const Text *values)
{
    uint8_t *http = space->http;
    KeyPlace key_place = {NULL, 0, 1, 0};
    Fault fault;
    if (key.size == 0 && form->rules & RULE_REQUIRED) {
        return FAULT_MISSING;
    }
    if (key.size && key.data[0] == '/') {
        if (form->rules & RULE_DROP_SLASH) {
            key = (Text){key.data + 1, key.size - 1};
        }
        key_place.slash = !(form->rules & RULE_KEEP_SLASH && key.size && key.data[0] == '/');
    }
    row->hole = NULL;
    if (form->http_keys == 0) {
        fault = lay_out_key(form, http, key, &key_place);
        if (fault != FAULT_NONE) {
            return fault;
        }
        http = key_place.raw + key.size + TEXT_SLACK;
    }
    row->http = http;
    http = put_text(http, form->head.data, form->head.size);
    for (const Piece *piece = form->pieces; piece < form->pieces + form->http_count; piece++) {
        if (piece->kind == PIECE_TEXT) {
            http = put_text(http, piece->text.data, piece->text.size);
        } else if (piece->kind == PIECE_KEY) {
            fault = lay_out_key(form, http, key, &key_place);
            if (fault != FAULT_NONE) {
                return fault;
            }
            http = key_place.raw + key.size;
        } else {
            http = put_encoded(http, values[piece->kind], COMPONENT);
        }
    }
    row->size = (size_t)(http - row->http);
    sha1_pad(http - row->size, row->size, 0);
    text->data = space->out;
    space->out = put_row_text(form, space->out, &key_place, values, row);
    text->size = (size_t)(space->out - text->data);
    if (form->signs) {
        space->http = http - row->size + sha1_blocks(row->size) * SHA1_BLOCK;
    }
    return FAULT_NONE;
}

size_t form_tile_bound(const Form *form, const Rows *rows, size_t done, size_t last)
{
    size_t bound = SHA1_BLOCK; /* as `aligned` moves the first row */
    if (form->columns) {
        for (size_t i = done; i < last; i++) {
            bound += form_http_bound(form, rows->keys[i], &rows->values[i * rows->width]);
        }
        return bound;
    }
    for (size_t i = done; i < last; i++) {
        bound += (form->http_keys ? form->http_keys : 1) * rows->keys[i].size;
    }
    return bound + (last - done) * form_http_bound(form, (Text){NULL, 0}, NULL);
}

size_t form_lay_out_tile(
    const Form *form, const Rows *rows, size_t done, size_t last, Space *space, sha1_row *signed_rows, size_t *count)
{
    size_t clear = done; /* where the next row with a fault is */
    *count = 0;
    while (done < last) {
        if (done == clear && rows->faults[done] != FAULT_NONE) {
            clear = ++done;
            continue;
        }
        while (clear < last && rows->faults[clear] == FAULT_NONE) {
            clear++;
        }
        if (form->lay) {
            size_t usual = form->lay(
                &form->frame, &rows->keys[done], clear - done, space, &signed_rows[*count], &rows->texts[done]);
            done += usual;
            *count += usual;
        }
        if (done < clear) {
            const Text *values = &rows->values[done * rows->width];
            if ((size_t)(space->end - space->out) < form_text_bound(form, rows->keys[done], values) + TEXT_SLACK) {
                return done;
            }
            rows->faults[done] =
                form_lay_out(form, space, &signed_rows[*count], &rows->texts[done], rows->keys[done], values);
            if (rows->faults[done] == FAULT_NONE && form->signs) {
                ++*count;
            }
            done++;
        }
    }
    return done;
}

size_t frame_size(const Text texts[5])
{
    size_t size = SHA1_BLOCK;
    for (int i = 0; i < 5; i++) {
        size += texts[i].size + FRAME_SLACK + SHA1_BLOCK;
    }
    return size;
}

void frame_set(Frame *frame, const Text texts[5], uint8_t *memory)
{
    Text *parts[5] = {&frame->http[0], &frame->http[1], &frame->text[0], &frame->text[1], &frame->text[2]};
    for (int i = 0; i < 5; i++) {
        memory = aligned(memory);
        *parts[i] = (Text){memory, texts[i].size};
        memory = put_exact(memory, texts[i].data, texts[i].size);
        memory[0] = 0x80;
        memory += FRAME_SLACK + 1;
    }
}
