/* Arrow columns of every layout, right ones and forged ones, against a model; the pool's slots, by several threads; lines
   and rows of CSV, against a byte at a time. */
#include "check.h"
#include "columns/lines.h"
#include "columns/pool.h"
#include "columns/read.h"

#include <ctype.h>
#include <pthread.h>

static size_t checked; /* texts */

/* --- Columns ----------------------------------------------------------------------------------------------------------- */

enum { ROWS = 40, MOST = 20, DEPTH = 3 }; /* rows, bytes of a text, columns within columns */

/* An array, its schema, and what it means: texts, of which NULL is a null. */
typedef struct Sample {
    ArrowSchema schema, *schema_children[2];
    ArrowArray array, *array_children[2];
    const void *buffers[4];
    void *owned[8];
    size_t count; /* of owned */
    struct Sample *child, *ends;
    uint8_t bytes[ROWS][MOST + 24];
    Text texts[ROWS];
} Sample;

static void *own(Sample *sample, size_t size)
{
    return sample->owned[sample->count++] = calloc(size ? size : 1, 1);
}

static void drop(Sample *sample)
{
    if (sample) {
        drop(sample->child);
        drop(sample->ends);
        for (size_t i = 0; i < sample->count; i++) {
            free(sample->owned[i]);
        }
        free(sample);
    }
}

static void set_texts(Sample *sample, int64_t rows, int nulls)
{
    uint8_t *valid = nulls ? own(sample, (size_t)(sample->array.offset + rows + 7) / 8 + 1) : NULL;
    for (int64_t i = 0; i < rows; i++) {
        int64_t place = sample->array.offset + i;
        sample->texts[i] = (Text){sample->bytes[i], below(MOST)};
        fill(sample->bytes[i], sample->texts[i].size);
        if (nulls && below(3) == 0) {
            sample->texts[i].data = NULL;
            sample->array.null_count++;
        } else if (nulls) {
            valid[place >> 3] |= (uint8_t)(1 << (place & 7));
        }
    }
    sample->buffers[0] = valid;
}

static void set_offsets(Sample *sample, int64_t rows, int wide)
{
    int64_t first = sample->array.offset;
    int32_t *narrow = own(sample, 4 * (size_t)(first + rows + 1));
    int64_t *large = own(sample, 8 * (size_t)(first + rows + 1));
    uint8_t *data = own(sample, ROWS * MOST);
    int64_t end = 0;
    for (int64_t i = 0; i < rows; i++) {
        memcpy(data + end, sample->bytes[i], sample->texts[i].size);
        end += (int64_t)sample->texts[i].size;
        narrow[first + i + 1] = (int32_t)end;
        large[first + i + 1] = end;
    }
    sample->schema.format = wide ? (below(2) ? "U" : "Z") : below(2) ? "u" : "z";
    sample->buffers[1] = wide ? (void *)large : (void *)narrow;
    sample->buffers[2] = data;
    sample->array.n_buffers = 3;
}

static void set_views(Sample *sample, int64_t rows)
{
    int32_t *views = own(sample, 16 * (size_t)(sample->array.offset + rows));
    uint8_t *data = own(sample, ROWS * MOST);
    int64_t *size = own(sample, 8);
    for (int64_t i = 0; i < rows; i++) {
        int32_t *view = views + 4 * (sample->array.offset + i);
        view[0] = (int32_t)sample->texts[i].size;
        if (view[0] <= 12) {
            memcpy(view + 1, sample->bytes[i], (size_t)view[0]);
        } else {
            memcpy(data + *size, sample->bytes[i], (size_t)view[0]);
            view[3] = (int32_t)*size;
            *size += view[0];
        }
    }
    sample->schema.format = below(2) ? "vu" : "vz";
    sample->buffers[1] = views;
    sample->buffers[2] = data;
    sample->buffers[3] = size;
    sample->array.n_buffers = 4;
}

/* Numbers of any width; returns their format. */
static const char *store_number(void *buffer, int64_t place, int64_t number, int kind)
{
    static const char *const formats[] = {"c", "C", "s", "S", "i", "I", "l", "L"};
    switch (kind / 2) {
    case 0:
        ((int8_t *)buffer)[place] = (int8_t)number;
        break;
    case 1:
        ((int16_t *)buffer)[place] = (int16_t)number;
        break;
    case 2:
        ((int32_t *)buffer)[place] = (int32_t)number;
        break;
    default:
        ((int64_t *)buffer)[place] = number;
    }
    return formats[kind];
}

static void set_integers(Sample *sample, int64_t rows)
{
    int kind = (int)below(8), unused = 64 - (8 << kind / 2);
    void *numbers = own(sample, 8 * (size_t)(sample->array.offset + rows));
    sample->schema.format = "l";
    for (int64_t i = 0; i < rows; i++) {
        uint64_t bits = (below(2) ? next() << 32 | next() : below(300)) << unused;
        int64_t number = kind & 1 ? (int64_t)(bits >> unused) : (int64_t)bits / ((int64_t)1 << unused);
        sample->schema.format = store_number(numbers, sample->array.offset + i, number, kind);
        if (sample->texts[i].data) {
            char *text = (char *)sample->bytes[i];
            sample->texts[i].size = (size_t)(kind & 1 ? sprintf(text, "%llu", (unsigned long long)number)
                                                      : sprintf(text, "%lld", (long long)number));
        }
    }
    sample->buffers[1] = numbers;
    sample->array.n_buffers = 2;
}

static Sample *some_column(int64_t rows, int depth);

/* Rows of a child: by its numbers, by runs, or as they are. */
static void set_nested(Sample *sample, int64_t rows, int kind, int depth)
{
    ArrowArray *array = &sample->array;
    Text texts[ROWS];
    Sample *child = sample->child = some_column(kind == ONE_COLUMN ? array->offset + rows : 1 + below(8), depth - 1);
    int64_t values = child->array.length;
    sample->schema_children[0] = sample->schema_children[1] = &child->schema;
    sample->array_children[0] = sample->array_children[1] = &child->array;
    sample->schema.children = sample->schema_children;
    array->children = sample->array_children;
    if (kind == DICTIONARY) {
        int width = (int)below(8);
        void *indices = own(sample, 8 * (size_t)(array->offset + rows));
        sample->schema.format = store_number(indices, 0, 0, width);
        for (int64_t i = 0; i < rows; i++) {
            int64_t index = below((uint32_t)values);
            store_number(indices, array->offset + i, index, width);
            texts[i] = sample->texts[i].data ? child->texts[index] : (Text){NULL, 0};
        }
        sample->schema.dictionary = &child->schema;
        array->dictionary = &child->array;
        sample->buffers[1] = indices;
        array->n_buffers = 2;
    } else if (kind == ONE_COLUMN) {
        for (int64_t i = 0; i < rows; i++) {
            texts[i] = sample->texts[i].data ? child->texts[array->offset + i] : (Text){NULL, 0};
        }
        sample->schema.format = "+s";
        sample->schema.n_children = array->n_children = 1;
        array->n_buffers = 1;
    } else {
        Sample *ends = sample->ends = calloc(1, sizeof *ends);
        int32_t *numbers = own(ends, 4 * (size_t)values);
        int64_t end = array->offset;
        for (int64_t run = 0, i = 0; run < values; run++) {
            end = run + 1 == values ? array->offset + rows + 1 : end + 1 + below(6);
            numbers[run] = (int32_t)end;
            for (; i < rows && array->offset + i < end; i++) {
                texts[i] = child->texts[run];
            }
        }
        for (int64_t run = values - 1; run > 0 && numbers[run] <= numbers[run - 1]; run--) {
            numbers[run] = numbers[run - 1] + 1; /* the last run may begin after the rows */
        }
        ends->schema.format = "i";
        ends->buffers[1] = numbers;
        ends->array = (ArrowArray){.length = values, .n_buffers = 2, .buffers = ends->buffers};
        sample->schema_children[0] = &ends->schema;
        sample->array_children[0] = &ends->array;
        sample->schema.format = "+r";
        sample->schema.n_children = array->n_children = 2;
        array->n_buffers = 0;
        array->null_count = 0;
    }
    memcpy(sample->texts, texts, (size_t)rows * sizeof *texts);
}

static Sample *some_column(int64_t rows, int depth)
{
    Sample *sample = calloc(1, sizeof *sample);
    int kind = (int)below(depth ? 8 : 4);
    sample->array = (ArrowArray){.length = rows, .offset = below(3) ? 0 : below(9), .buffers = sample->buffers};
    if (kind == ONE_COLUMN && sample->array.offset + rows > ROWS) {
        sample->array.offset = 0;
    }
    set_texts(sample, rows, below(2) && kind != RUN_ENDS);
    switch (kind) {
    case OFFSETS_32:
    case OFFSETS_64:
        set_offsets(sample, rows, kind == OFFSETS_64);
        break;
    case VIEWS:
        set_views(sample, rows);
        break;
    case INTEGERS:
        set_integers(sample, rows);
        break;
    case NULLS:
        memset(sample->texts, 0, sizeof sample->texts);
        sample->schema.format = "n";
        break;
    default:
        set_nested(sample, rows, kind, depth);
    }
    return sample;
}

/* Break what a reader can see: lengths, pointers, counts, and numbers in the second buffer within what they refer to. */
static void forge(Sample *sample)
{
    ArrowArray *array = &sample->array;
    switch (below(8)) {
    case 0:
        array->length = (int64_t)below(3) - 2 ? INT64_MAX - below(9) : -1;
        array->offset = below(2) ? INT64_MIN : 1 + (int64_t)below(9);
        array->offset = array->length < 0 ? array->offset : INT64_MAX;
        break;
    case 1:
        array->n_buffers = below(6);
        array->n_buffers = array->n_buffers > 3 && strchr("vz", sample->schema.format[0]) ? 4 : array->n_buffers;
        break;
    case 2:
        array->buffers = below(2) ? NULL : array->buffers;
        sample->buffers[1] = below(2) ? NULL : sample->buffers[1];
        break;
    case 3:
        array->n_children = below(4);
        array->children = below(2) ? NULL : array->children;
        break;
    case 4:
        sample->array_children[below(2)] = NULL;
        array->dictionary = NULL;
        break;
    case 5:
        sample->schema.dictionary = NULL;
        sample->schema_children[below(2)] = NULL;
        sample->schema.n_children = below(4);
        break;
    case 6: /* a number may go back, or to what is not there; never to bytes after a buffer, whose size nobody knows */
        if (sample->buffers[1] && array->length && sample->schema.format[0] != 'u' && sample->schema.format[0] != 'z') {
            uint8_t *numbers = (uint8_t *)(uintptr_t)sample->buffers[1];
            numbers[3 + (sample->schema.format[0] == 'v' ? 16 * (size_t)array->offset : 0)] |= 0x80;
        }
        break;
    default:
        if (sample->child) {
            forge(sample->child);
        } else if (sample->ends) {
            forge(sample->ends);
        }
    }
}

static const char *check_column(void)
{
    int64_t rows = 1 + below(ROWS - 10), first = below((uint32_t)rows), count = below((uint32_t)(rows - first) + 1);
    Sample *sample = some_column(rows, (int)below(DEPTH));
    int forged = below(3) == 0;
    Text texts[2 * ROWS];
    uint8_t digits[ROWS * COLUMN_DIGITS];
    ColumnType *column;
    const ArrowSchema *culprit;
    const char *wrong = NULL;
    if (forged) {
        forge(sample);
    }
    SchemaFault fault = column_new(&sample->schema, 0, &column, &culprit);
    if (fault == SCHEMA_FINE) {
        const char *malformed = column_fault(column, &sample->array);
        if (!malformed && count <= ROWS) {
            malformed = column_read(column, &sample->array, first, count, texts, 2, digits);
        }
        wrong = malformed && !forged ? malformed : NULL;
        for (int64_t i = 0; !forged && !wrong && i < count; i++) {
            Text text = texts[2 * i], wanted = sample->texts[first + i];
            if ((text.data == NULL) != (wanted.data == NULL)
                || (text.data && (text.size != wanted.size || memcmp(text.data, wanted.data, text.size)))) {
                wrong = "a text is wrong";
            }
            checked++;
        }
    } else if (!forged) {
        wrong = "a schema is refused";
    }
    column_free(column);
    drop(sample);
    return wrong;
}

/* --- Slots ------------------------------------------------------------------------------------------------------------- */

/* Rows put into slots and taken back as an array, while others do the same. */
static const char *use_pool(Pool *pool)
{
    enum { HELD = 40 };
    ArrowArray held[HELD];
    const char *wrong = NULL;
    for (int i = 0; i < HELD; i++) {
        int single = i % 9 == 0, views = i % 2, rows = 1 + i % 7;
        Slot *slot = slot_new(pool, single ? 300 : 0, (size_t)rows, views);
        Text texts[8];
        Fault faults[8] = {FAULT_NONE};
        size_t size = 0;
        for (int row = 0; row < rows; row++) {
            texts[row] = (Text){slot->data + size, (size_t)(13 + row)};
            faults[row] = row == 3 ? FAULT_NULL_ROW : FAULT_NONE;
            if (row != 3) {
                memset(slot->data + size, 'a' + row, texts[row].size);
                size += texts[row].size;
            }
        }
        slot_add(slot, rows > 3 ? faults : NULL, texts, (size_t)rows);
        if (slot_fitting_rows(slot) < 1) {
            wrong = "slot_fitting_rows is wrong";
        }
        slot_export(slot_compact(slot), &held[i]);
    }
    for (int i = 0; i < HELD; i++) {
        int64_t rows = 1 + i % 7, nulls = rows > 3;
        const int32_t *places = held[i].buffers[1];
        const uint8_t *data = held[i].buffers[2];
        if (held[i].length != rows || held[i].null_count != nulls || (i % 2 ? places[0] != 13 : places[1] != 13)) {
            wrong = "a chunk is wrong";
        }
        if (data[0] != 'a' || data[12] != 'a' || (rows > 1 && data[13] != 'b')) {
            wrong = "a chunk's text is wrong";
        }
        held[i].release(&held[i]);
    }
    return wrong;
}

static void *in_thread(void *pool)
{
    return (void *)(uintptr_t)use_pool(pool);
}

static Pool *volatile kept[8]; /* what came over by a fork is never freed */
static size_t kept_count;

static const char *check_pool(void)
{
    Pool *pool = pool_new((size_t)POOL_LEAST_SLOT << below(4), below(50));
    pthread_t threads[3];
    void *found;
    const char *wrong = NULL;
    for (int i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, in_thread, pool);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], &found);
        wrong = wrong ? wrong : found;
    }
    if (kept_count < 8 && below(4) == 0) { /* as after a fork: the pool is empty, and stays */
        uint64_t forks = pool_forks();
        pool_after_fork();
        wrong = wrong ? wrong : pool_forks() == forks + 1 ? use_pool(pool) : "forks";
        kept[kept_count++ % 8] = pool;
    }
    pool_close(pool);
    return wrong;
}

/* --- Lines ------------------------------------------------------------------------------------------------------------- */

/* As RFC 3986 has it, byte by byte. */
static int begins_as_an_address(const uint8_t *text, size_t size)
{
    size_t scheme = 0;
    while (scheme < size && (isalnum(text[scheme]) || (text[scheme] && strchr("+-.", text[scheme])))) {
        scheme++;
    }
    return scheme > 0 && scheme <= 16 && isalpha(text[0]) && scheme + 3 <= size && memcmp(text + scheme, "://", 3) == 0;
}

static const char *check_lines(void)
{
    uint8_t bytes[200];
    size_t size = below(sizeof bytes), place = 0, whole = 0;
    const char *alphabet = below(4) ? "ab,\"\r\n \t" : "a://a+\n\r";
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)alphabet[below(below(2) ? 8 : 2)];
    }
    uint8_t *block = exact_copy(bytes, size);
    LineCounts counts = {0}, expected = {0};
    int keep_empty = below(4) == 0;
    int32_t *views = lines_views((Text){block, size}, keep_empty, &counts);
    int right = views != NULL;
    while (place < size) {
        size_t end = place;
        while (end < size && block[end] != '\n') {
            end++;
        }
        size_t length = end > place && block[end - 1] == '\r' ? end - place - 1 : end - place;
        expected.lines++;
        if (length || keep_empty) {
            const int32_t *view = views + 4 * expected.rows++;
            right &= view[0] == (int32_t)length;
            right &= memcmp(length <= 12 ? (const uint8_t *)(view + 1) : block + view[3], block + place, length) == 0;
            expected.blank_ends += length && (block[place + length - 1] == ' ' || block[place + length - 1] == '\t');
            expected.inner_crs += length && memchr(block + place, '\r', length) != NULL;
            expected.addresses += begins_as_an_address(block + place, length);
        }
        place = end + 1;
    }
    right &= memcmp(&counts, &expected, sizeof counts) == 0;
    int32_t offsets[201];
    for (int64_t i = 0; i < counts.rows; i++) { /* texts that ascend */
        offsets[i] = (int32_t)below((uint32_t)size + 1);
    }
    offsets[counts.rows] = (int32_t)size;
    for (int64_t i = counts.rows; i-- > 0;) {
        offsets[i] = offsets[i] < offsets[i + 1] ? offsets[i] : offsets[i + 1];
    }
    LineCounts found = {0}, wanted = {.lines = counts.rows};
    right &= texts_counts(block, size, offsets, (ptrdiff_t)counts.rows, &found);
    for (int64_t i = 0; i < counts.rows; i++) {
        size_t length = (size_t)(offsets[i + 1] - offsets[i]);
        const uint8_t *text = block + offsets[i];
        wanted.rows += length > 0;
        wanted.blank_ends += length && (text[length - 1] == ' ' || text[length - 1] == '\t');
        wanted.inner_crs += length && memchr(text, '\r', length) != NULL;
        wanted.addresses += begins_as_an_address(text, length);
    }
    right &= memcmp(&found, &wanted, sizeof found) == 0;
    offsets[counts.rows]++;
    right &= !texts_counts(block, size, offsets, (ptrdiff_t)counts.rows, &found);
    int in_quotes = 0, at_field = 1;
    for (size_t i = 0; i < size; i++) {
        if (in_quotes) {
            in_quotes = block[i] != '"' || (i + 1 < size && block[i + 1] == '"' && ++i);
        } else if (block[i] == '"' && at_field) {
            in_quotes = 1;
            continue;
        } else if (block[i] == '\n' || (block[i] == '\r' && i + 1 < size && block[i + 1] != '\n')) {
            whole = i + 1;
            at_field = 1;
        } else {
            at_field = block[i] == ',';
        }
    }
    right &= csv_whole_rows((Text){block, size}, ',') == whole;
    free(views);
    free(block);
    return right ? NULL : "lines are wrong";
}

static const char *check_start(void)
{
    return check_pool();
}

/* Pools that begin after another ended, with its memory: no two have the same. */
static const char *check_spare(void)
{
    enum { POOLS = 3 };
    const char *wrong = NULL;
    for (size_t most_idle = 0; most_idle < 3; most_idle++) {
        Pool *pools[POOLS] = {pool_new(POOL_SLOT, most_idle)};
        Slot *slots[POOLS] = {slot_new(pools[0], 0, 1, 0)};
        memset(slots[0]->data, 'a', 1000);
        slot_drop(slots[0]);
        pool_close(pools[0]);
        for (int i = 0; i < POOLS; i++) {
            pools[i] = pool_new(POOL_SLOT, most_idle);
            slots[i] = slot_new(pools[i], 0, 1, 0);
            wrong = slots[i]->nulls || slots[i]->rows || slots[i]->data_size ? "a slot that is not new" : wrong;
            memset(slots[i]->data, i, 1000);
        }
        for (int i = 0; i < POOLS; i++) {
            Slot *copy = slot_copy(slots[i]->pool, slots[i]);
            wrong = slots[i]->data[999] != i ? "two pools with the same memory" : wrong;
            wrong = !copy || copy == slots[i] || copy->rows ? "a copy" : wrong;
            slot_drop(copy);
            slot_drop(slots[i]);
            pool_close(pools[i]);
        }
    }
    return wrong;
}

static const char *check_round(void)
{
    static const char *(*const checks[])(void) = {check_column, check_lines};
    const char *wrong = check_all(checks, 2);
    wrong = wrong || below(2000) ? wrong : check_pool();
    return wrong || below(2000) ? wrong : check_spare();
}

static void check_report(void)
{
    printf("columns agree on %zu texts\n", checked);
}
