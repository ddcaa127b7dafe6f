/* URLs of one batch: see pattern.h. */
#include "pattern.h"

#include "../text/row.h"

int pattern_fits(const UrlPattern *pattern, Text url, Text *key)
{
    const Text *head = &pattern->head, *middle = &pattern->middle, *tail = &pattern->tail;
    size_t rest = middle->size + SHA1_HEX + tail->size;
    if (url.size < head->size + rest) {
        return 0;
    }
    const uint8_t *place = url.data + url.size - rest, *end = place + middle->size + SHA1_HEX;
    *key = (Text){url.data + head->size, url.size - head->size - rest};
    if (pattern->has_token
        && !(equal_in_constant_time(place, middle->data, middle->size)
             && equal_in_constant_time(end, tail->data, tail->size))) {
        return 0;
    }
    return memcmp(place, middle->data, middle->size) == 0 && memcmp(url.data, head->data, head->size) == 0
           && (tail->size == 0 || memcmp(end, tail->data, tail->size) == 0);
}

/* A row that the engine does not lay out. Returns where the next one goes. */
static uint8_t *lay_out_odd(const Frame *frame, Text key, uint8_t *http, sha1_row *row, uint8_t *hole, uint8_t *wrong)
{
    uint8_t *start = put_exact(http, frame->http[0].data, frame->http[0].size), *end = put_http_key(start, key);
    *wrong = !end || (key.size && (memchr(key.data, '?', key.size) || memchr(key.data, '#', key.size)));
    if (*wrong) {
        end = start; /* hashed in vain: such rows are rare */
    }
    end = put_exact(end, frame->http[1].data, frame->http[1].size);
    *row = (sha1_row){http, (size_t)(end - http), hole, NULL};
    sha1_pad(http, row->size, 0);
    return http + sha1_blocks(row->size) * SHA1_BLOCK;
}

void pattern_lay_out(const UrlPattern *pattern, frame_layer *lay, const Fitting *fitting, Space space, uint8_t *holes)
{
    size_t done = 0;
    space.http = aligned(space.http);
    while (done < fitting->count) {
        if (lay) {
            size_t usual = lay(&pattern->frame, &fitting->keys[done], fitting->count - done, &space,
                &fitting->rows[done], &fitting->texts[done]);
            memset(&fitting->wrong[done], 0, usual);
            done += usual;
            if (done == fitting->count) {
                break;
            }
        }
        space.http = lay_out_odd(&pattern->frame, fitting->keys[done], space.http, &fitting->rows[done],
            holes + SHA1_HEX * done, &fitting->wrong[done]);
        done++;
    }
}
