/* The tables of methods and of KeyTimes, and rows laid out by what is found in them. */
#include "varied.h"

#include <stdlib.h>

enum {
    METHOD_MAX = 31, /* characters of a method; longer ones are not understood here */
    METHOD_SETS = 512,
    METHOD_WAYS = 4,
    KEY_SETS = 512,
    KEY_WAYS = 8, /* 4,096 keys */
    SECONDS_DIGITS = 10
};

static_assert(METHOD_MAX + 2 < SHA1_BLOCK, "an engine lays out no row whose first text is as long as a block");

/* A method's form. `text` is its head and a slash, at the beginning of a block, with the slack that is read after it. */
typedef struct {
    uint32_t used; /* the last tile with it, 0 if there is none yet */
    uint8_t size;
    uint8_t name[METHOD_MAX];
    uint8_t memory[SHA1_BLOCK + METHOD_MAX + 3 + FRAME_SLACK];
    Form form;
} MethodForm;

/* Where the keys of some KeyTimes are. */
typedef struct {
    uint64_t ends[KEY_WAYS];
    uint32_t used[KEY_WAYS]; /* likewise */
    uint8_t digits[KEY_WAYS][END_DIGITS];
} KeySet;

struct Varied {
    Differences by;
    uint32_t tile;
    uint8_t key_time[SHA1_HEAD_MAX]; /* "start;" and the digits that differ */
    size_t start_size;
    MethodForm methods[METHOD_SETS][METHOD_WAYS];
    KeySet sets[KEY_SETS];
    sha1_key keys[KEY_SETS][KEY_WAYS];
};

Varied *varied_new(const Differences *differences)
{
    Varied *varied = calloc(1, sizeof *varied); /* its pages are taken when they are first used */
    uint8_t start[20];
    if (!varied) {
        return NULL;
    }
    varied->by = *differences;
    varied->start_size = put_number(start, differences->start);
    if (varied->start_size > END_DIGITS) {
        free(varied);
        return NULL;
    }
    memcpy(varied->key_time, start, varied->start_size);
    varied->key_time[varied->start_size++] = ';';
    return varied;
}

/* Wipe the keys: they sign like the SecretKey that they were made of. */
static void wipe_keys(Varied *varied)
{
    for (size_t set = 0; set < KEY_SETS; set++) {
        for (size_t way = 0; way < KEY_WAYS; way++) {
            if (varied->sets[set].used[way]) {
                wipe(&varied->keys[set][way], offsetof(sha1_key, head_size)); /* HMAC's states */
            }
        }
    }
}

void varied_free(Varied *varied)
{
    if (varied) {
        wipe_keys(varied);
        free(varied);
    }
}

void varied_begin(Varied *varied)
{
    if (++varied->tile == 0) { /* after 2^32 tiles: nothing is known any more */
        wipe_keys(varied);
        memset(varied->methods, 0, sizeof varied->methods);
        memset(varied->sets, 0, sizeof varied->sets);
        varied->tile = 1;
    }
}

static uint32_t hash(uint64_t number)
{
    return (uint32_t)(number * 0x9e3779b97f4a7c15u >> 32);
}

/* A method's name in HttpString: in lower case. 0 if it is none (RFC 9110, 5.6.2). */
static int put_method(uint8_t *out, Text name)
{
    for (size_t i = 0; i < name.size; i++) {
        uint8_t byte = name.data[i];
        int upper = byte >= 'A' && byte <= 'Z';
        int others = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9')
                     || (byte && strchr("!#$%&'*+-.^_`|~", byte) != NULL);
        if (!upper && !others) {
            return 0;
        }
        out[i] = (uint8_t)(upper ? byte + ('a' - 'A') : byte);
    }
    return name.size != 0;
}

/* Set a form that differs from the usual one by its method. */
static int set_method(MethodForm *found, const Form *form, Text name)
{
    uint8_t *text = aligned(found->memory);
    memset(found->memory, 0, sizeof found->memory);
    if (!put_method(text, name)) {
        return 0;
    }
    text[name.size] = '\n';
    text[name.size + 1] = '/';
    text[name.size + 2] = 0x80;
    found->form = *form;
    found->form.http_size += name.size + 1;
    found->form.http_size -= form->head.size;
    found->form.head = (Text){text, name.size + 1};
    found->form.frame.http[0] = (Text){text, name.size + 2};
    memcpy(found->name, name.data, name.size);
    found->size = (uint8_t)name.size;
    return 1;
}

/* The form of a method, or NULL: see varied_find. */
static const Form *method_form(Varied *varied, Text name, int *full)
{
    uint64_t mixed = name.size;
    if (!name.data || name.size > METHOD_MAX) {
        return NULL;
    }
    for (size_t i = 0; i < name.size; i++) {
        mixed = mixed * 31 + name.data[i];
    }
    MethodForm *set = varied->methods[hash(mixed) % METHOD_SETS], *oldest = set;
    for (size_t way = 0; way < METHOD_WAYS; way++) {
        if (set[way].used && set[way].size == name.size && memcmp(set[way].name, name.data, name.size) == 0) {
            set[way].used = varied->tile;
            return &set[way].form;
        }
        oldest = set[way].used < oldest->used ? &set[way] : oldest;
    }
    if (oldest->used == varied->tile) {
        *full = 1;
        return NULL;
    }
    oldest->used = 0;
    if (!set_method(oldest, varied->by.form, name)) {
        return NULL;
    }
    oldest->used = varied->tile;
    return &oldest->form;
}

/* Whole seconds, from their digits; 0 if they are not understood. */
static uint64_t read_seconds(Text text)
{
    uint64_t seconds = 0;
    if (text.size > SECONDS_DIGITS) {
        return 0;
    }
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = (unsigned)text.data[i] - '0';
        if (digit > 9) {
            return 0;
        }
        seconds = seconds * 10 + digit;
    }
    return seconds;
}

/* Set the key of the KeyTime that ends so. */
static int set_key(Varied *varied, KeySet *set, size_t way, sha1_key *key, uint64_t end)
{
    uint8_t *digits = varied->key_time + varied->start_size;
    if (put_number(digits, end) != END_DIGITS
        || sha1_prepare_key_time(
            key, varied->by.secret, varied->key_time, varied->start_size + END_DIGITS, varied->by.compress)) {
        return 0;
    }
    set->ends[way] = end;
    memcpy(set->digits[way], digits, END_DIGITS);
    return 1;
}

/* The key for a signature that holds for so many seconds; 0 if there is none: see varied_find. */
static int find_key(Varied *varied, Text seconds, RowForm *found, int *full)
{
    const uint64_t lasts = read_seconds(seconds), end = varied->by.start + lasts + varied->by.extra;
    const size_t number = hash(end) % KEY_SETS;
    KeySet *set = &varied->sets[number];
    size_t way = 0, oldest = 0;
    if (!lasts) {
        return 0;
    }
    while (way < KEY_WAYS && (set->ends[way] != end || !set->used[way])) {
        oldest = set->used[way] < set->used[oldest] ? way : oldest;
        way++;
    }
    if (way == KEY_WAYS) {
        way = oldest;
        if (set->used[way] == varied->tile) {
            *full = 1;
            return 0;
        }
        set->used[way] = 0;
        if (!set_key(varied, set, way, &varied->keys[number][way], end)) {
            return 0;
        }
    }
    set->used[way] = varied->tile;
    found->key = &varied->keys[number][way];
    found->end = set->digits[way];
    text_soon(found->key, sizeof(sha1_key) / 2); /* it is read when the tile is laid out */
    return 1;
}

size_t varied_find(Varied *varied, const Rows *rows, size_t first, size_t last, RowForm *forms, int *full)
{
    *full = 0;
    for (size_t i = first; i < last; i++) {
        const Text *values = &rows->values[i * rows->width];
        RowForm *found = &forms[i - first];
        if (rows->faults[i] != FAULT_NONE) {
            continue;
        }
        *found = (RowForm){varied->by.form, varied->by.key, NULL};
        for (size_t column = 0; column < varied->by.form->columns; column++) {
            if (!values[column].data) {
                return i;
            }
        }
        if (varied->by.method >= 0) {
            found->form = method_form(varied, values[varied->by.method], full);
            if (!found->form) {
                return i;
            }
        }
        if (varied->by.expires >= 0 && values[varied->by.expires].data
            && !find_key(varied, values[varied->by.expires], found, full)) {
            return i;
        }
    }
    return last;
}

size_t varied_tile_bound(const RowForm *forms, const Rows *rows, size_t done, size_t last)
{
    size_t bound = SHA1_BLOCK;
    for (size_t i = done; i < last; i++) {
        if (rows->faults[i] == FAULT_NONE) {
            bound += form_http_bound(forms[i - done].form, rows->keys[i], &rows->values[i * rows->width]);
        }
    }
    return bound;
}

size_t varied_lay_out_tile(const RowForm *forms, const Rows *rows, size_t done, size_t last, Space *space,
    sha1_row *signed_rows, size_t *count)
{
    size_t i = done;
    *count = 0;
    while (i < last) {
        if (rows->faults[i] != FAULT_NONE) {
            i++;
            continue;
        }
        const Form *form = forms[i - done].form;
        size_t end = i + 1, from = i, laid;
        while (end < last && (rows->faults[end] != FAULT_NONE || forms[end - done].form == form)) {
            end++;
        }
        i = form_lay_out_tile(form, rows, i, end, space, &signed_rows[*count], &laid);
        for (; from < i; from++) {
            if (rows->faults[from] == FAULT_NONE) {
                sha1_row *row = &signed_rows[(*count)++];
                const RowForm *own = &forms[from - done];
                row->key = own->key;
                if (own->end) {
                    memcpy(row->hole - form->end_back[0], own->end, END_DIGITS);
                    memcpy(row->hole - form->end_back[1], own->end, END_DIGITS);
                }
            }
        }
        if (i < end) {
            break;
        }
    }
    return i;
}
