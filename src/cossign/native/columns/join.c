/* Rows as text: see join.h. */
#include "join.h"

static Text text_at(const JoinPiece *piece, int64_t row)
{
    int64_t bit = piece->first_bit + row;
    if (piece->valid && !(piece->valid[bit >> 3] >> (bit & 7) & 1)) {
        return (Text){NULL, 0};
    }
    return (Text){piece->data + piece->offsets[row], (size_t)(piece->offsets[row + 1] - piece->offsets[row])};
}

size_t join_bound(const JoinPiece *pieces, int count, int64_t row)
{
    size_t bound = 0;
    for (int i = 0; i < count; i++) {
        const JoinPiece *piece = &pieces[i];
        bound += piece->before.size;
        if (piece->offsets) {
            size_t size = (size_t)(piece->offsets[row + 1] - piece->offsets[row]);
            bound += (piece->form == JOIN_CSV ? 2 * size : piece->form == JOIN_JSON ? 6 * size : size) + 4;
        }
    }
    return bound;
}

static int is_special(uint8_t byte, JoinForm form)
{
    return form == JOIN_CSV ? byte == '"' || byte == ',' || byte == '\n' || byte == '\r'
                            : byte == '"' || byte == '\\' || byte < 0x20;
}

/* Copy a text. Returns whether it may stand as it is. */
static int put_if_plain(uint8_t *out, Text text, JoinForm form)
{
    size_t i = 0;
    for (; i + BYTES_STEP <= text.size; i += BYTES_STEP) {
        bytes_step bytes = bytes_load(text.data + i);
        bytes_marks marks = bytes_equal(bytes, '"');
        if (form == JOIN_CSV) {
            marks |= bytes_equal(bytes, ',') | bytes_equal(bytes, '\n') | bytes_equal(bytes, '\r');
        } else {
            marks |= bytes_equal(bytes, '\\') | bytes_control(bytes);
        }
        if (marks) {
            return 0;
        }
        bytes_store(out + i, bytes);
    }
    for (; i < text.size; i++) {
        if (is_special(text.data[i], form)) {
            return 0;
        }
        out[i] = text.data[i];
    }
    return 1;
}

static uint8_t *put_csv(uint8_t *out, Text text)
{
    if (put_if_plain(out, text, JOIN_CSV)) {
        return out + text.size;
    }
    *out++ = '"';
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"') {
            *out++ = '"';
        }
        *out++ = text.data[i];
    }
    *out++ = '"';
    return out;
}

static uint8_t *put_json(uint8_t *out, Text text)
{
    static const char named[] = "btn?fr", digits[] = "0123456789abcdef";
    *out++ = '"';
    if (put_if_plain(out, text, JOIN_JSON)) {
        out += text.size;
        *out++ = '"';
        return out;
    }
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        if (!is_special(byte, JOIN_JSON)) {
            *out++ = byte;
            continue;
        }
        *out++ = '\\';
        if (byte >= 0x20) {
            *out++ = byte;
        } else if (byte >= '\b' && byte <= '\r' && byte != '\v') {
            *out++ = (uint8_t)named[byte - '\b'];
        } else {
            out = put_exact(out, (const uint8_t *)"u00", 3);
            *out++ = (uint8_t)digits[byte >> 4];
            *out++ = (uint8_t)digits[byte & 15];
        }
    }
    *out++ = '"';
    return out;
}

static uint8_t *put_value(uint8_t *out, const JoinPiece *piece, int64_t row)
{
    Text text = text_at(piece, row);
    if (!text.data) {
        if (piece->form == JOIN_PLAIN || piece->form == JOIN_CSV) {
            return out;
        }
        return put_exact(out, (const uint8_t *)"null", 4);
    }
    switch (piece->form) {
    case JOIN_CSV:
        return put_csv(out, text);
    case JOIN_JSON:
        return put_json(out, text);
    case JOIN_URL:
        *out++ = '"';
        memcpy(out, text.data, text.size);
        out += text.size;
        *out++ = '"';
        return out;
    default:
        memcpy(out, text.data, text.size);
        return out + text.size;
    }
}

size_t join_rows(const JoinPiece *pieces, int count, int64_t *row, int64_t rows, uint8_t *out, size_t room)
{
    uint8_t *start = out;
    for (; *row < rows; ++*row) {
        if (join_bound(pieces, count, *row) > room - (size_t)(out - start)) {
            break;
        }
        for (int i = 0; i < count; i++) {
            memcpy(out, pieces[i].before.data, pieces[i].before.size);
            out += pieces[i].before.size;
            if (pieces[i].offsets) {
                out = put_value(out, &pieces[i], *row);
            }
        }
    }
    return (size_t)(out - start);
}
