/* The tables of methods and of KeyTimes, and rows that are laid out by them. */
#include "tables.h"

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
    uint32_t last_tile; /* the last one with this method; 0 if there is none yet */
    uint8_t size;
    uint8_t name[METHOD_MAX];
    uint8_t memory[SHA1_BLOCK + METHOD_MAX + 3 + FRAME_SLACK];
    Form form;
} MethodForm;

/* What is known of some keys. */
typedef struct {
    uint32_t seconds[KEY_WAYS];   /* how long their signatures are valid */
    uint32_t last_tile[KEY_WAYS]; /* the last tile with this key; 0 if there is none yet */
} KeySet;

/* It begins at the beginning of a line of the caches, so that a row reads one line of `sets` and two of `keys`. */
struct Tables {
    KeySet sets[KEY_SETS];
    sha1_key keys[KEY_SETS][KEY_WAYS];
    MethodForm methods[METHOD_SETS][METHOD_WAYS];
    Differences differences;
    uint32_t tile;
    uint8_t key_time[SHA1_HEAD_MAX]; /* "start;" and the digits that differ */
    size_t start_size;
    void *memory; /* what was allocated */
};

static_assert(sizeof(KeySet) == SHA1_BLOCK && sizeof(sha1_key) % SHA1_BLOCK == 0, "they share no line of the caches");

Tables *tables_new(const Differences *differences)
{
    uint8_t start[20];
    const size_t start_size = put_number(start, differences->start);
    if (start_size > END_DIGITS) {
        return NULL;
    }
    void *memory = calloc(1, sizeof(Tables) + SHA1_BLOCK); /* its pages are taken when they are first used */
    if (!memory) {
        return NULL;
    }
    Tables *tables = (Tables *)(void *)aligned(memory);
    tables->memory = memory;
    tables->differences = *differences;
    memcpy(tables->key_time, start, start_size);
    tables->key_time[start_size] = ';';
    tables->start_size = start_size + 1;
    return tables;
}

/* Wipe the keys: they sign like the SecretKey that they were made of. */
static void wipe_keys(Tables *tables)
{
    for (size_t set = 0; set < KEY_SETS; set++) {
        for (size_t way = 0; way < KEY_WAYS; way++) {
            if (tables->sets[set].last_tile[way]) {
                wipe(&tables->keys[set][way], offsetof(sha1_key, head_size)); /* HMAC's states */
            }
        }
    }
}

void tables_free(Tables *tables)
{
    if (tables) {
        wipe_keys(tables);
        free(tables->memory);
    }
}

void tables_begin(Tables *tables)
{
    if (++tables->tile == 0) { /* after 2^32 tiles: nothing is known any more */
        wipe_keys(tables);
        memset(tables->methods, 0, sizeof tables->methods);
        memset(tables->sets, 0, sizeof tables->sets);
        tables->tile = 1;
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
static int set_method(MethodForm *entry, const Form *form, Text name)
{
    uint8_t *text = aligned(entry->memory);
    memset(entry->memory, 0, sizeof entry->memory);
    if (!put_method(text, name)) {
        return 0;
    }
    text[name.size] = '\n';
    text[name.size + 1] = '/';
    text[name.size + 2] = 0x80;
    entry->form = *form;
    entry->form.http_size += name.size + 1;
    entry->form.http_size -= form->head.size;
    entry->form.head = (Text){text, name.size + 1};
    entry->form.frame.http[0] = (Text){text, name.size + 2};
    memcpy(entry->name, name.data, name.size);
    entry->size = (uint8_t)name.size;
    return 1;
}

/* The form of a method, or NULL: see tables_find. */
static const Form *method_form(Tables *tables, Text name, int *full)
{
    uint64_t mixed = name.size;
    if (!name.data || name.size > METHOD_MAX) {
        return NULL;
    }
    for (size_t i = 0; i < name.size; i++) {
        mixed = mixed * 31 + name.data[i];
    }
    MethodForm *set = tables->methods[hash(mixed) % METHOD_SETS], *oldest = set;
    for (size_t way = 0; way < METHOD_WAYS; way++) {
        if (set[way].last_tile && set[way].size == name.size && memcmp(set[way].name, name.data, name.size) == 0) {
            set[way].last_tile = tables->tile;
            return &set[way].form;
        }
        oldest = set[way].last_tile < oldest->last_tile ? &set[way] : oldest;
    }
    if (oldest->last_tile == tables->tile) {
        *full = 1;
        return NULL;
    }
    oldest->last_tile = 0;
    if (!set_method(oldest, tables->differences.form, name)) {
        return NULL;
    }
    oldest->last_tile = tables->tile;
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

/* Set the key of a signature that holds for so many seconds. */
static int set_key(Tables *tables, sha1_key *key, uint64_t seconds)
{
    uint64_t end = tables->differences.start + seconds + tables->differences.extra;
    return put_number(tables->key_time + tables->start_size, end) == END_DIGITS
           && !sha1_prepare_key_time(key, tables->differences.secret, tables->key_time, tables->start_size + END_DIGITS,
               tables->differences.compress);
}

/* The key for a signature that holds for so many seconds; 0 if there is none: see tables_find. */
static int find_key(Tables *tables, Text text, RowForm *row_form, int *full)
{
    const uint64_t seconds = read_seconds(text);
    const size_t number = hash(seconds) % KEY_SETS;
    KeySet *set = &tables->sets[number];
    size_t way = 0, oldest = 0;
    if (!seconds || seconds > UINT32_MAX) {
        return 0;
    }
    while (way < KEY_WAYS && (set->seconds[way] != seconds || !set->last_tile[way])) {
        oldest = set->last_tile[way] < set->last_tile[oldest] ? way : oldest;
        way++;
    }
    if (way == KEY_WAYS) {
        way = oldest;
        if (set->last_tile[way] == tables->tile) {
            *full = 1;
            return 0;
        }
        set->last_tile[way] = 0;
        if (!set_key(tables, &tables->keys[number][way], seconds)) {
            return 0;
        }
        set->seconds[way] = (uint32_t)seconds;
    }
    set->last_tile[way] = tables->tile;
    row_form->key = &tables->keys[number][way];
    row_form->end = row_form->key->string + SHA1_KEY_TIME_AT + tables->start_size;
    text_soon(row_form->key, 2 * (size_t)SHA1_BLOCK); /* it is read when the tile is row_count out */
    return 1;
}

size_t tables_find(Tables *tables, const Rows *rows, size_t first, size_t last, RowForm *forms, int *full)
{
    *full = 0;
    for (size_t i = first; i < last; i++) {
        const Text *values = &rows->values[i * rows->width];
        RowForm *row_form = &forms[i - first];
        if (rows->faults[i] != FAULT_NONE) {
            continue;
        }
        *row_form = (RowForm){tables->differences.form, tables->differences.key, NULL};
        for (size_t column = 0; column < tables->differences.form->columns; column++) {
            if (!values[column].data) {
                return i;
            }
        }
        if (tables->differences.method >= 0) {
            row_form->form = method_form(tables, values[tables->differences.method], full);
            if (!row_form->form) {
                return i;
            }
        }
        if (tables->differences.expires >= 0 && values[tables->differences.expires].data
            && !find_key(tables, values[tables->differences.expires], row_form, full)) {
            return i;
        }
    }
    return last;
}

size_t tables_tile_bound(const RowForm *forms, const Rows *rows, size_t done, size_t last)
{
    size_t bound = SHA1_BLOCK;
    for (size_t i = done; i < last; i++) {
        if (rows->faults[i] == FAULT_NONE) {
            bound += form_http_bound(forms[i - done].form, rows->keys[i], &rows->values[i * rows->width]);
        }
    }
    return bound;
}

size_t tables_lay_out_tile(const RowForm *forms, const Rows *rows, size_t done, size_t last, Space *space,
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
        size_t end = i + 1, from = i, row_count;
        while (end < last && (rows->faults[end] != FAULT_NONE || forms[end - done].form == form)) {
            end++;
        }
        i = form_lay_out_tile(form, rows, i, end, space, &signed_rows[*count], &row_count);
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
