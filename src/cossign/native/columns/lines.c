/* Lines of text: see lines.h. */
#include "lines.h"

#include <stdlib.h>

int32_t *lines_views(Text block, int64_t *rows)
{
    const uint8_t *place = block.data, *end = block.data + block.size;
    size_t room = block.size / 24 + 2, count = 0;
    int32_t *views = malloc(16 * room);
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
        place = line_end + 1;
    }
    *rows = (int64_t)count;
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

size_t csv_whole_rows(Text block)
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
            at_field = *place == ',';
        }
    }
    return (size_t)(whole - block.data);
}
