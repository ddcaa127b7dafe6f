/* URLs taken apart, and the HttpString of a presigned one: see parse.h. */
#include "parse.h"

#include "../sha1/sha1.h"
#include "../text/escape.h"

#define NAME(text) {(const uint8_t *)(text), sizeof(text) - 1}
const Text q_names[Q_FIELDS] = {NAME("q-sign-algorithm"), NAME("q-ak"), NAME("q-sign-time"), NAME("q-key-time"),
    NAME("q-header-list"), NAME("q-url-param-list"), NAME("q-signature")};

static uint8_t lower(uint8_t byte)
{
    return (uint8_t)(byte - 'A') < 26 ? byte | 0x20 : byte;
}

/* Take a scheme, in letters of either case, off a URL. */
static int take_scheme(Text *url, const char *scheme, size_t size)
{
    if (url->size < size) {
        return 0;
    }
    for (size_t i = 0; i < size; i++) {
        if (lower(url->data[i]) != (uint8_t)scheme[i]) {
            return 0;
        }
    }
    *url = (Text){url->data + size, url->size - size};
    return 1;
}

int target_split(Text url, Target *target)
{
    url = take_until(&url, '#');
    *target = (Target){{url.data, 0}, url, url, 0};
    if (url.size == 0 || url.data[0] != '/') {
        target->is_secure = take_scheme(&url, "https://", 8);
        if (!target->is_secure && !take_scheme(&url, "http://", 7)) {
            return 0;
        }
    }
    target->path = take_until(&url, '?');
    target->query = url;
    if (target->path.size == 0 || target->path.data[0] != '/') {
        Text rest = target->path;
        target->host = take_until(&rest, '/');
        target->path = (Text){target->path.data + target->host.size, target->path.size - target->host.size};
    }
    return 1;
}

/* One to ten digits. */
static int take_seconds(Text *rest, int64_t *seconds)
{
    size_t i = 0;
    *seconds = 0;
    for (; i < rest->size && (uint8_t)(rest->data[i] - '0') < 10; i++) {
        if (i == 10) {
            return 0;
        }
        *seconds = *seconds * 10 + (rest->data[i] - '0');
    }
    *rest = (Text){rest->data + i, rest->size - i};
    return i > 0;
}

/* Take a semicolon, as it is or percent-encoded, off a text that begins with it. */
static int take_semicolon(Text *rest)
{
    size_t size = rest->size && rest->data[0] == ';' ? 1 : escaped_byte(*rest) == ';' ? 3 : 0;
    *rest = (Text){rest->data + size, rest->size - size};
    return size != 0;
}

/* The fields' values, and the parameters after them; 0 if one is missing, or there twice. */
static int split_fields(Text query, Text values[Q_FIELDS], Text *params)
{
    int fields = 0, count = 0;
    *params = (Text){NULL, 0};
    while (query.size) {
        Text value = take_until(&query, '&'), name = take_until(&value, '=');
        int field = Q_FIELDS;
        for (int i = count; i < count + Q_FIELDS && field == Q_FIELDS; i++) { /* mostly they come in order */
            const Text *q_name = &q_names[i % Q_FIELDS];
            if (text_is(name, (const char *)q_name->data, q_name->size)) {
                field = i % Q_FIELDS;
            }
        }
        if (field == Q_FIELDS) {
            *params = (Text){name.data - 1, (size_t)(query.data + query.size - name.data) + 1};
            break;
        }
        if (fields & 1 << field) {
            return 0;
        }
        fields |= 1 << field;
        count++;
        values[field] = value;
    }
    return fields == (1 << Q_FIELDS) - 1;
}

/* Take the scheme and the host off a URL, up to the path; a request target has none. */
static int take_origin(Text *url, Text *host)
{
    *host = (Text){url->data, 0};
    if (url->size && url->data[0] == '/') {
        return 1;
    }
    if (url->size > 8 && memcmp(url->data, "https://", 8) == 0) {
        *url = (Text){url->data + 8, url->size - 8};
    } else if (url->size > 7 && memcmp(url->data, "http://", 7) == 0) {
        *url = (Text){url->data + 7, url->size - 7};
    } else {
        return 0;
    }
    Text rest = *url;
    *host = take_until(&rest, '/');
    *url = (Text){url->data + host->size, url->size - host->size};
    return host->size > 0 && !memchr(host->data, '?', host->size);
}

static int needs_no_decoding(Text text)
{
    return text.size == 0 || (!memchr(text.data, '%', text.size) && !memchr(text.data, '+', text.size));
}

int presigned_parse(Text url, Presigned *parts)
{
    Text values[Q_FIELDS], part;
    if (url.size == 0 || memchr(url.data, '#', url.size) || !take_origin(&url, &parts->host)) {
        return 0;
    }
    part = take_until(&url, '?');
    if (part.size == 0 || part.data[0] != '/') {
        return 0;
    }
    parts->path = (Text){part.data + 1, part.size - 1};
    if (!split_fields(url, values, &parts->params) || !text_is(values[Q_SIGN_ALGORITHM], "sha1", 4)) {
        return 0;
    }
    parts->secret_id = values[Q_AK];
    if (!needs_no_decoding(parts->secret_id)) {
        return 0;
    }
    parts->key_time = part = values[Q_KEY_TIME];
    if (!text_is(values[Q_SIGN_TIME], (const char *)part.data, part.size)) {
        return 0;
    }
    if (!take_seconds(&part, &parts->start) || !take_semicolon(&part) || !take_seconds(&part, &parts->end) || part.size
        || parts->start > parts->end) {
        return 0;
    }
    parts->signs_host = text_is(values[Q_HEADER_LIST], "host", 4);
    parts->param_list = values[Q_URL_PARAM_LIST];
    parts->signature = values[Q_SIGNATURE];
    parts->has_token = 0;
    return (parts->signs_host || values[Q_HEADER_LIST].size == 0) && parts->signature.size == SHA1_HEX;
}

int presigned_lists(const Presigned *parts, Text name)
{
    Text rest = parts->param_list;
    while (rest.size) {
        Text after = rest;
        size_t size = 0;
        while (after.size && !take_semicolon(&after)) {
            after = (Text){after.data + 1, after.size - 1};
            size++;
        }
        if (size == name.size && memcmp(rest.data, name.data, size) == 0) {
            return 1;
        }
        rest = after;
    }
    return 0;
}

uint8_t *put_http_head(uint8_t *out, Text method)
{
    out = put_exact(out, method.data, method.size);
    *out++ = '\n';
    *out++ = '/';
    return out;
}

uint8_t *put_http_key(uint8_t *out, Text path)
{
    if (put_key(out, path.data, path.size)) {
        return out + path.size;
    }
    uint8_t *end = put_decoded(out, path, 0);
    return scan_utf8(out, (size_t)(end - out)) ? end : NULL;
}

/* A name in lower case, which needs no escape and stands at the beginning of `listed`, off which it is taken. */
static uint8_t *put_listed_name(uint8_t *out, Text name, Text *listed)
{
    if (name.size == 0 || listed->size < name.size || !needs_no_escape(name, COMPONENT)) {
        return NULL;
    }
    for (size_t i = 0; i < name.size; i++) {
        out[i] = lower(name.data[i]);
        if (listed->data[i] != out[i]) {
            return NULL;
        }
    }
    *listed = (Text){listed->data + name.size, listed->size - name.size};
    return out + name.size;
}

/* Whether one name sorts before another. */
static int is_less(Text one, Text other)
{
    int order = memcmp(one.data, other.data, one.size < other.size ? one.size : other.size);
    return order < 0 || (order == 0 && one.size < other.size);
}

/* Whether a parameter may be a second field of the signature, or a second token. */
static int is_doubtful(Text name)
{
    static const char token[] = "x-cos-security-token";
    if (name.size > 2 && lower(name.data[0]) == 'q' && name.data[1] == '-') {
        return 1;
    }
    if (name.size != sizeof token - 1) {
        return 0;
    }
    for (size_t i = 0; i < name.size; i++) {
        if (lower(name.data[i]) != (uint8_t)token[i]) {
            return 0;
        }
    }
    return 1;
}

/* HttpParameters; NULL as put_http_tail. */
static uint8_t *put_params(uint8_t *out, Presigned *parts, Text token)
{
    Text rest = parts->params, listed = parts->param_list, last = {NULL, 0};
    if (rest.size) {
        rest = (Text){rest.data + 1, rest.size - 1};
    }
    while (rest.size) {
        Text value = take_until(&rest, '&'), name = take_until(&value, '=');
        if (text_is(name, "x-cos-security-token", 20)) {
            if (parts->has_token || !token.data || value.size != token.size
                || !equal_in_constant_time(value.data, token.data, token.size)) {
                return NULL;
            }
            parts->has_token = 1;
            continue;
        }
        /* The first: it has no "=". */
        if (value.data == name.data + name.size || !is_canonical(value) || is_doubtful(name)) {
            return NULL;
        }
        if (last.data) {
            if (!take_semicolon(&listed)) {
                return NULL;
            }
            *out++ = '&';
        }
        uint8_t *end = put_listed_name(out, name, &listed);
        if (!end || (last.data && !is_less(last, (Text){out, name.size}))) {
            return NULL;
        }
        last = (Text){out, name.size};
        *end = '=';
        out = put_exact(end + 1, value.data, value.size);
    }
    return listed.size || (token.data && !parts->has_token) ? NULL : out;
}

uint8_t *put_http_tail(uint8_t *out, Presigned *parts, Text token)
{
    parts->has_token = 0;
    *out++ = '\n';
    if (parts->params.size || parts->param_list.size || token.data) {
        out = put_params(out, parts, token);
        if (!out) {
            return NULL;
        }
    }
    *out++ = '\n';
    if (parts->signs_host) {
        if (parts->host.size == 0) { /* a request target's Host is among the headers */
            return NULL;
        }
        out = put_exact(out, (const uint8_t *)"host=", 5);
        out = put_encoded(out, parts->host, COMPONENT);
    }
    *out++ = '\n';
    return out;
}
