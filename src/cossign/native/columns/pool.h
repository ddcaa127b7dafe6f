/* Memory of results: Arrow arrays of text in slots that are used again when their readers drop them.

   A pool's lock needs no Python: any thread may drop a slot, with or without Python's global lock. No call under it waits
   for anything else, and none allocates by Python's allocators, which tracemalloc makes take the global lock. */
#ifndef COSSIGN_POOL_H
#define COSSIGN_POOL_H

#include "../text/names.h"
#include "../text/text.h"
#include "arrow.h"

enum {
    POOL_SLOT = 1 << 19, /* bytes of a chunk, unless its owner wants others: it stays in the second cache */
    POOL_LEAST_SLOT = 1 << 12,
    POOL_MOST_SLOT = 1 << 30, /* offsets are of 32 bits */
    POOL_ROW = 128            /* a chunk has at most a row for so many of its bytes */
};

typedef struct Pool Pool;

/* A chunk's head; its validity, offsets or views, and data lie after it. */
typedef struct Slot {
    struct Slot *next; /* for its holder; in the pool, the next one that waits */
    Pool *pool;
    const void *buffers[4];
    size_t size;    /* bytes of everything */
    size_t others;  /* slots in readers' hands when this one was handed out */
    int single;     /* its own memory, not the pool's */
    int views;      /* string views, four numbers a row, instead of offsets */
    uint8_t *valid; /* one bit for each row; set only if there are nulls */
    int32_t *offsets;
    uint8_t *data;
    int64_t most; /* rows */
    int64_t rows;
    int64_t nulls;
    size_t data_size;
    int64_t view_size; /* the same, where Arrow finds it */
} Slot;

/* A pool of slots of `slot` bytes; of those that wait, `most_idle` keep their memory. NULL without memory. */
Pool *pool_new(size_t slot, size_t most_idle);

/* Its owner is gone: what readers hold stays, and the last slot that comes back frees the pool. */
void pool_close(Pool *pool);

/* Bytes of a slot. */
size_t pool_slot(const Pool *pool);

/* Call this first in a process that fork has made: its pools' locks may be held by threads that it lacks. */
void pool_after_fork(void);

/* How many forks lie between the process that loaded this and this one. */
uint64_t pool_forks(void);

/* A slot for `rows` rows; or one with its own memory, `single` bytes for their data. NULL without memory. */
Slot *slot_new(Pool *pool, size_t single, size_t rows, int views);

/* Give a slot back. */
void slot_drop(Slot *slot);

/* Add rows whose texts were laid out at the end of the slot's data, and nulls where there are faults, if any. */
void slot_add(Slot *slot, const Fault *faults, const Text *texts, size_t count);

/* Bytes of its data's place that hold nothing. */
size_t slot_unused(const Slot *slot);

/* The same rows in memory of their own size, counted by a pool; NULL without memory. */
Slot *slot_copy(Pool *pool, const Slot *slot);

/* A slot that is far from full in memory of its own size, where readers keep many; otherwise the slot itself. */
Slot *slot_compact(Slot *slot);

/* How many rows like these nearly fill a slot. */
int64_t slot_fitting_rows(const Slot *slot);

/* Hand the slot over as an array: to release that gives the slot back. */
void slot_export(Slot *slot, ArrowArray *array);

/* The schema of a column of this format, a string that stays. */
void schema_export(ArrowSchema *schema, const char *format);

#endif
