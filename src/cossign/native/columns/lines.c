/* Lines of text: see lines.h. */
#include "lines.h"

#include <stdlib.h>

enum { LONGEST_SCHEME = 16 };

static int is_letter(uint8_t byte)
{
    return (uint8_t)((byte | 0x20) - 'a') < 26;
}

static int is_address(Text text)
{
    if (text.size < 4 || !is_letter(text.data[0])) {
        return 0;
    }
    size_t size = 1;
    while (size < text.size && size < LONGEST_SCHEME
           && (is_letter(text.data[size]) || (text.data[size] >= '0' && text.data[size] <= '9')
               || (text.data[size] && strchr("+-.", text.data[size])))) {
        size++;
    }
    return size + 3 <= text.size && memcmp(text.data + size, "://", 3) == 0;
}

/* Whether one of eight bytes is ':'. */
static int has_colon(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, 8);
    word ^= 0x3a3a3a3a3a3a3a3a;
    return ((word - 0x0101010101010101) & ~word & 0x8080808080808080) != 0;
}

static void count_row(LineCounts *counts, Text row, int has_crs)
{
    counts->rows++;
    uint8_t last = row.data[row.size - 1];
    counts->blank_ends += last == ' ' || last == '\t';
    /* Most rows are told from an address by their first 17 bytes at most. */
    if (row.size < LONGEST_SCHEME + 1 || has_colon(row.data + 1) || has_colon(row.data + 9)) {
        counts->addresses += is_address(row);
    }
    counts->inner_crs += has_crs && memchr(row.data, '\r', row.size) != NULL;
}

int texts_counts(const uint8_t *data, size_t size, const int32_t *offsets, ptrdiff_t rows, LineCounts *counts)
{
    if (rows < 0 || offsets[0] < 0 || (size_t)offsets[rows] > size) {
        return 0;
    }
    for (ptrdiff_t i = 0; i < rows; i++) {
        if (offsets[i + 1] < offsets[i]) {
            return 0;
        }
    }
    size_t first = (size_t)offsets[0], all = (size_t)offsets[rows] - first;
    int has_crs = all && memchr(data + first, '\r', all) != NULL;
    for (ptrdiff_t i = 0; i < rows; i++) {
        counts->lines++;
        if (offsets[i + 1] > offsets[i]) {
            count_row(counts, (Text){data + offsets[i], (size_t)(offsets[i + 1] - offsets[i])}, has_crs);
        }
    }
    return 1;
}

int32_t *lines_views(Text block, int keep_empty, LineCounts *counts)
{
    const uint8_t *place = block.data, *end = block.data + block.size;
    size_t room = block.size / 24 + 2, count = 0;
    int32_t *views = malloc(16 * room);
    int has_crs = block.size && memchr(block.data, '\r', block.size) != NULL;
    while (views && place < end) {
        if (count == room) {
            room *= 2;
            int32_t *more = realloc(views, 16 * room);
            if (!more) {
                free(views);
            }
            views = more;
            if (!views) {
                break;
            }
        }
        const uint8_t *line_end = memchr(place, '\n', (size_t)(end - place));
        line_end = line_end ? line_end : end;
        size_t size = (size_t)(line_end - place);
        if (size && line_end[-1] == '\r') {
            size--;
        }
        counts->lines++;
        if (size || keep_empty) {
            if (size) {
                count_row(counts, (Text){place, size}, has_crs);
            } else {
                counts->rows++;
            }
            int32_t *view = views + 4 * count++;
            view[0] = (int32_t)size;
            if (size <= 12) {
                memset(view + 1, 0, 12);
                memcpy(view + 1, place, size);
            } else {
                memcpy(view + 1, place, 4);
                view[2] = 0;
                view[3] = (int32_t)(place - block.data);
            }
        }
        place = line_end + 1;
    }
    return views;
}

/* The quote that ends a field which begins at `place`; NULL if the block ends before. A doubled quote is a character. */
static const uint8_t *closing_quote(const uint8_t *place, const uint8_t *end)
{
    for (;;) {
        place = memchr(place + 1, '"', (size_t)(end - place - 1));
        if (!place || place + 1 == end || place[1] != '"') {
            return place;
        }
        place++;
    }
}

size_t csv_whole_rows(Text block, uint8_t delimiter)
{
    const uint8_t *place = block.data, *end = block.data + block.size, *whole = block.data;
    int at_field = 1;
    for (; place < end; place++) {
        if (*place == '"' && at_field) {
            place = closing_quote(place, end);
            if (!place) {
                break;
            }
        } else if (*place == '\n' || (*place == '\r' && place + 1 < end && place[1] != '\n')) {
            whole = place + 1;
            at_field = 1;
        } else {
            at_field = *place == delimiter;
        }
    }
    return (size_t)(whole - block.data);
}
