/* URLs taken apart: any that HTTP clients send, and presigned ones in the form that every signer here writes. */
#ifndef COSSIGN_PARSE_H
#define COSSIGN_PARSE_H

#include "../sha1/sha1.h"
#include "../text/text.h"

/* Take the text up to a separator, or all of it, off `rest`, the separator too. */
static inline Text take_until(Text *rest, uint8_t separator)
{
    const uint8_t *place = rest->size ? memchr(rest->data, separator, rest->size) : NULL;
    size_t size = place ? (size_t)(place - rest->data) : rest->size;
    Text text = {rest->data, size};
    size += place != NULL;
    *rest = (Text){rest->size ? rest->data + size : rest->data, rest->size - size};
    return text;
}

static inline int text_is(Text text, const char *other, size_t size)
{
    return text.size == size && memcmp(text.data, other, size) == 0;
}

/* Compare signatures or tokens in a time that does not depend on where they differ. */
static inline int equal_in_constant_time(const uint8_t *one, const uint8_t *other, size_t size)
{
    uint8_t difference = 0;
    for (size_t i = 0; i < size; i++) {
        difference |= one[i] ^ other[i];
    }
    return difference == 0;
}

/* --- Any URL ----------------------------------------------------------------------------------------------------------- */

typedef struct {
    Text host;
    Text path; /* with its first slash; nothing where a host stands alone */
    Text query;
    int is_secure;
} Target;

/* Take an absolute http(s) URL or a request target apart; 0 if it is neither. */
int target_split(Text url, Target *target);

/* --- Presigned URLs ---------------------------------------------------------------------------------------------------- */

/* The fields of a signature, in the order in which signers write them. */
enum { Q_SIGN_ALGORITHM, Q_AK, Q_SIGN_TIME, Q_KEY_TIME, Q_HEADER_LIST, Q_URL_PARAM_LIST, Q_SIGNATURE, Q_FIELDS };
extern const Text q_names[Q_FIELDS];

typedef struct {
    Text host; /* of a request target empty: set it to that of the headers */
    Text path; /* as it stands in the URL, without its first slash */
    Text secret_id;
    Text key_time;
    Text signature; /* 40 bytes */
    Text param_list;
    Text params; /* what follows the seven fields, with its first "&" */
    int signs_host;
    int has_token; /* set by put_http_tail */
    int64_t start;
    int64_t end;
} Presigned;

/* Take a presigned URL, or the target of a request with one, in the usual form apart; 0 for another form, which may be right all the same. The usual form has
   its fields first, without escapes but %3B, and signs Host or no header. */
int presigned_parse(Text url, Presigned *parts);

/* Whether the list of parameters has a name, in lower case, that needs no escape. */
int presigned_lists(const Presigned *parts, Text name);

/* --- HttpString, which a presigned URL was signed for ------------------------------------------------------------------ */

/* The most bytes that the following three write together for a URL, and its padding; `host` is what its host may be
   replaced by, or nothing. */
static inline size_t http_bound(Text url, Text method, Text host)
{
    return 3 * url.size + 3 * host.size + method.size + TEXT_SLACK + 3 * SHA1_BLOCK;
}

/* HttpString up to the key. */
uint8_t *put_http_head(uint8_t *out, Text method);

/* The key that a path stands for, its first slash left out. Returns the end, or NULL if the key is not UTF-8. */
uint8_t *put_http_key(uint8_t *out, Text path);

/* HttpString from the key's end on; `token` as it stands in a URL, or its data NULL. Returns the end; or NULL if the URL's
   parameters are not just those that its list names, in order and each once, and the token, or Host is signed and empty. */
uint8_t *put_http_tail(uint8_t *out, Presigned *parts, Text token);

#endif
