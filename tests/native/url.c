/* URLs taken apart and their HttpStrings, of right ones and of broken ones; and URLs of one batch by their pattern. */
#include "check.h"
#include "sha1/engine.h"
#include "text/escape.h"
#include "text/row.h"
#include "url/pattern.h"

static size_t checked; /* URLs */

enum { MOST = 3000 };

typedef struct {
    uint8_t bytes[MOST];
    size_t size;
} Buffer;

static void add(Buffer *out, const void *data, size_t size)
{
    if (size <= MOST - out->size) {
        memcpy(out->bytes + out->size, data, size);
        out->size += size;
    }
}

static void add_text(Buffer *out, const char *text)
{
    add(out, text, strlen(text));
}

static void add_encoded(Buffer *out, const Buffer *value, int where)
{
    uint8_t encoded[3 * MOST + TEXT_SLACK];
    add(out, encoded, (size_t)(put_encoded(encoded, (Text){value->bytes, value->size}, where) - encoded));
}

static Buffer some_bytes(size_t most)
{
    Buffer out = {.size = below((uint32_t)most)};
    for (size_t i = 0; i < out.size; i++) {
        out.bytes[i] = below(12) ? (uint8_t)"abcXYZ019-_~./ %+;&=?#"[below(22)] : (uint8_t)below(128);
    }
    return out;
}

/* A presigned URL in the usual form, what it is of, and its HttpString. */
typedef struct {
    Buffer url, key, token, http;
    size_t path, signature; /* where they stand in the URL */
} Sample;

static void make(Sample *sample, int with_token)
{
    static const char *const names[] = {"a", "b-1", "part_number", "x~y"};
    Buffer list = {.size = 0}, params = {.size = 0}, http_params = {.size = 0};
    const char *host = below(2) ? "h" : "b-1250000000.cos.ap-beijing.myqcloud.com", *semicolon = below(2) ? ";" : "%3B";
    int signs_host = below(4) != 0;
    memset(sample, 0, sizeof *sample);
    sample->key = some_bytes(60);
    sample->token = some_bytes(40);
    for (int i = 0; i < 4; i++) {
        if (below(3)) {
            continue;
        }
        Buffer value = some_bytes(20);
        add_text(&list, list.size ? semicolon : "");
        add_text(&list, names[i]);
        add_text(&params, "&");
        add_text(&params, names[i]);
        add_text(&params, "=");
        add_encoded(&params, &value, COMPONENT);
    }
    add(&http_params, params.bytes + 1, params.size ? params.size - 1 : 0);
    add_text(&sample->url, below(2) ? "https://" : "http://");
    add_text(&sample->url, host);
    add_text(&sample->url, "/");
    sample->path = sample->url.size;
    add_encoded(&sample->url, &sample->key, PATH);
    add_text(&sample->url, "?q-sign-algorithm=sha1&q-ak=AKID&q-sign-time=1");
    add_text(&sample->url, semicolon);
    add_text(&sample->url, "20&q-key-time=1");
    add_text(&sample->url, semicolon);
    add_text(&sample->url, "20&q-header-list=");
    add_text(&sample->url, signs_host ? "host" : "");
    add_text(&sample->url, "&q-url-param-list=");
    add(&sample->url, list.bytes, list.size);
    add_text(&sample->url, "&q-signature=");
    sample->signature = sample->url.size;
    add_text(&sample->url, "0123456789abcdef0123456789abcdef01234567");
    if (with_token) {
        add_text(&sample->url, "&x-cos-security-token=");
        add_encoded(&sample->url, &sample->token, COMPONENT);
    }
    add(&sample->url, params.bytes, params.size);
    add_text(&sample->http, "get\n/");
    add(&sample->http, sample->key.bytes, sample->key.size);
    add_text(&sample->http, "\n");
    add(&sample->http, http_params.bytes, http_params.size);
    add_text(&sample->http, signs_host ? "\nhost=" : "\n");
    add_text(&sample->http, signs_host ? host : "");
    add_text(&sample->http, "\n");
}

static const Text METHOD = {(const uint8_t *)"get", 3};

/* The HttpString of a URL in memory of exactly the promised size; its size, or 0 for what is not in the usual form. */
static size_t rebuild(const uint8_t *data, size_t size, Text token, uint8_t **http)
{
    uint8_t *url = exact_copy(data, size), *end = NULL;
    Presigned parts;
    *http = malloc(http_bound((Text){url, size}, METHOD, (Text){NULL, 0}));
    if (presigned_parse((Text){url, size}, &parts)) {
        end = put_http_key(put_http_head(*http, METHOD), parts.path);
        end = end ? put_http_tail(end, &parts, token) : NULL;
        if (end) {
            sha1_pad(*http, (size_t)(end - *http), 0);
        }
    }
    free(url);
    return end ? (size_t)(end - *http) : 0;
}

static const char *check_one(void)
{
    Sample sample;
    Buffer encoded = {.size = 0};
    int with_token = (int)below(2);
    make(&sample, with_token);
    add_encoded(&encoded, &sample.token, COMPONENT);
    Text token = {with_token ? encoded.bytes : NULL, with_token ? encoded.size : 0};
    uint8_t *http;
    size_t size = rebuild(sample.url.bytes, sample.url.size, token, &http);
    int right = size == sample.http.size && memcmp(http, sample.http.bytes, size) == 0;
    free(http);
    checked++;
    /* one byte is another, or is missing: what is left must stay in its room, and mean what it says */
    size_t place = below((uint32_t)sample.url.size);
    if (below(2)) {
        sample.url.bytes[place] = (uint8_t)"&=;%3Bq?/#a\0\x80"[below(14)];
    } else {
        memmove(sample.url.bytes + place, sample.url.bytes + place + 1, --sample.url.size - place);
    }
    rebuild(sample.url.bytes, sample.url.size, token, &http);
    free(http);
    uint8_t *url = exact_copy(sample.url.bytes, sample.url.size);
    Target target;
    Presigned parts;
    int is_target = target_split((Text){url, sample.url.size}, &target);
    if (presigned_parse((Text){url, sample.url.size}, &parts)) { /* then both see the same */
        right &= is_target && target.host.data == parts.host.data && target.host.size == parts.host.size;
        right &= target.path.data + 1 == parts.path.data && target.path.size == parts.path.size + 1;
    }
    if (is_target) {
        right &= target.host.size + target.path.size + target.query.size <= sample.url.size;
        right &= target.path.size == 0 || target.path.data[0] == '/';
    }
    free(url);
    return right ? NULL : "an HttpString is wrong";
}

static const char *check_lists(void)
{
    Text list = {(const uint8_t *)"acl;part%3Bb%3bc", 16};
    Presigned parts = {.param_list = list};
    static const char *const in[] = {"acl", "part", "b", "c"}, *const out[] = {
                                                                   "ac", "acl;", "ar", "a", "cl", "%3B", "3Bb"};
    for (size_t i = 0; i < 4; i++) {
        if (!presigned_lists(&parts, (Text){(const uint8_t *)in[i], strlen(in[i])})) {
            return "presigned_lists misses a name";
        }
    }
    for (size_t i = 0; i < 7; i++) {
        if (presigned_lists(&parts, (Text){(const uint8_t *)out[i], strlen(out[i])})) {
            return "presigned_lists sees a name that is not there";
        }
    }
    return NULL;
}

enum { BATCH = 12 };

/* URLs that differ by their keys, by a pattern, against each taken apart. */
static const char *check_pattern(void)
{
    static sha1_engine engines[SHA1_ENGINES];
    static size_t count;
    Sample sample;
    Text urls[BATCH], keys[BATCH], texts[BATCH];
    sha1_row rows[BATCH];
    uint8_t wrong[BATCH], holes[BATCH * SHA1_HEX];
    size_t fits = 0, room = FRAME_SLACK, place[BATCH];
    int right = 1;
    count = count ? count : sha1_engines(engines, cpu_features());
    make(&sample, 0);
    Presigned parts;
    uint8_t tail[MOST + TEXT_SLACK], *url = sample.url.bytes;
    if (!presigned_parse((Text){url, sample.url.size}, &parts)) {
        return "a URL cannot be taken apart";
    }
    uint8_t *end = put_http_tail(tail, &parts, (Text){NULL, 0});
    Text around[5] = {{(const uint8_t *)"get\n/", 5}, {tail, (size_t)(end - tail)}, {tail, 0}, {tail, 0}, {tail, 0}};
    uint8_t *memory = calloc(frame_size(around), 1);
    size_t after_key = sample.path + parts.path.size;
    UrlPattern pattern = {{url, sample.path}, {url + after_key, sample.signature - after_key},
        {url + sample.signature + SHA1_HEX, sample.url.size - sample.signature - SHA1_HEX}, {.escapes = 0}, 0};
    frame_set(&pattern.frame, around, memory);
    for (size_t i = 0; i < BATCH; i++) {
        Buffer key = some_bytes(90), one = {.size = 0};
        add(&one, url, sample.path);
        if (below(5)) {
            add_encoded(&one, &key, PATH);
        } else {
            add(&one, key.bytes, key.size); /* as it may be pasted */
        }
        add(&one, url + after_key, sample.url.size - after_key);
        if (below(6) == 0) {
            one.bytes[below((uint32_t)one.size)] ^= 1;
        }
        urls[i] = (Text){exact_copy(one.bytes, one.size), one.size};
        if (pattern_fits(&pattern, urls[i], &keys[fits])) {
            room += http_bound(urls[i], METHOD, (Text){NULL, 0});
            place[fits++] = i;
        }
    }
    uint8_t *http = malloc(room), *out = malloc(room);
    Space space = {http, out, out + room};
    Fitting fitting = {keys, fits, rows, wrong, texts};
    pattern_lay_out(&pattern, engines[below((uint32_t)count)].lay, &fitting, space, holes);
    for (size_t i = 0; i < fits; i++) {
        uint8_t *wanted;
        size_t size = rebuild(urls[place[i]].data, urls[place[i]].size, (Text){NULL, 0}, &wanted);
        right &=
            wrong[i] || (size == rows[i].size && memcmp(rows[i].http, wanted, sha1_blocks(size) * SHA1_BLOCK) == 0);
        right &= !wrong[i] || size != rows[i].size || memcmp(rows[i].http, wanted, size) != 0;
        free(wanted);
        checked++;
    }
    for (size_t i = 0; i < BATCH; i++) {
        free((void *)(uintptr_t)urls[i].data);
    }
    free(memory);
    free(http);
    free(out);
    return right ? NULL : "a pattern is wrong";
}

static const char *check_start(void)
{
    return check_lists();
}

static const char *check_round(void)
{
    static const char *(*const checks[])(void) = {check_one, check_pattern};
    return check_all(checks, 2);
}

static void check_report(void)
{
    printf("url agrees on %zu URLs\n", checked);
}
