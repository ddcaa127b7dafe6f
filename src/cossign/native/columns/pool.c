/* Memory of results: see pool.h. */
/* glibc has mmap and madvise only with it. NOLINTNEXTLINE(*-reserved-identifier,cert-dcl*) */
#define _DEFAULT_SOURCE
#include "pool.h"

#include "../threads/lock.h"

#include <assert.h>
#include <stdlib.h>

enum {
    SLAB = 1 << 21, /* bytes of the first block of slots: a huge page; each further one is twice as large, up to */
    LARGEST_SLAB = 1 << 22,
    KEPT_SLOTS = 24 /* a reader that holds so many keeps them, and waste counts */
};

/* --- Atomic ------------------------------------------------------------------------------------------------------------ */

#ifdef GNU_C
#define load(place) __atomic_load_n(place, __ATOMIC_ACQUIRE)
#define store(place, value) __atomic_store_n(place, value, __ATOMIC_RELEASE)
#else /* Windows, which has no forks: what they are for never changes there */
#define load(place) (*(place))
#define store(place, value) (*(place) = (value))
#endif

/* --- Pages ------------------------------------------------------------------------------------------------------------- */

/* Whole pages, huge ones where Linux has them: the first touch of a small page costs more than signing into it. */
#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
static void *pages_new(size_t size)
{
    const size_t huge = (size_t)1 << 21;
    uint8_t *start = mmap(NULL, size + huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) {
        return NULL;
    }
    uint8_t *pages = start + (-(uintptr_t)start & (huge - 1));
    if (pages > start) {
        munmap(start, (size_t)(pages - start));
    }
    munmap(pages + size, (size_t)(start + huge - pages));
    madvise(pages, size, MADV_HUGEPAGE);
    return pages;
}

static void pages_free(void *pages, size_t size)
{
    munmap(pages, size);
}

/* Return a slot's memory to the system, except the page of its head. The slot can be used again. */
static void pages_forget(void *slot, size_t size)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = ((uintptr_t)slot + sizeof(Slot) + page - 1) & ~(page - 1),
              end = ((uintptr_t)slot + size) & ~(page - 1);
    if (end > start) {
        madvise((uint8_t *)slot + (start - (uintptr_t)slot), end - start, MADV_DONTNEED);
    }
}
#else
static void *pages_new(size_t size)
{
    return malloc(size);
}

static void pages_free(void *pages, size_t size)
{
    (void)size;
    free(pages);
}

static void pages_forget(void *slot, size_t size)
{
    (void)slot;
    (void)size;
}
#endif

/* --- Pools ------------------------------------------------------------------------------------------------------------- */

typedef struct Slab {
    struct Slab *next;
    uint8_t *pages;
    size_t size;
    size_t used; /* bytes handed out so far */
} Slab;

struct Pool {
    Lock lock;
    Slab *slabs;
    Slot *waiting; /* last in, first out: the one that is still in the caches */
    size_t out;    /* slots in readers' hands */
    size_t idle;   /* slots that wait */
    size_t most_idle;
    size_t slot;
    int closed;
    int forgot;     /* memory of a slot was returned: its pages are small ones from then on */
    uint64_t forks; /* as they were when it was made, or revived */
    int stays;      /* it is never freed, as we cannot know what the memory of before a fork is used for: */
    Slab *lost;
};

/* The memory of the last pool that ended, for the next one's first slots: streams that are read one after the other do
   not ask the system for a huge page each. */
static Slab *spare;
static Lock sparing = LOCK_INIT;

/* After a fork, a pool's lock may be held by a thread that the new process lacks, and its lists may be half changed. We
   cannot hold all locks over a fork, because os.fork releases Python's global lock on its way. */
static uint64_t forks;
static Lock reviving = LOCK_INIT;

void pool_after_fork(void)
{
    reviving = (Lock)LOCK_INIT;
    sparing = (Lock)LOCK_INIT;
    spare = NULL; /* another thread may have been changing it */
    forks++;
}

uint64_t pool_forks(void)
{
    return forks;
}

/* Keep a slab instead of giving it back; 0 if there is one already. */
static int spare_put(Slab *slab)
{
    lock_take(&sparing);
    int taken = spare == NULL && slab->size == SLAB;
    if (taken) {
        slab->used = 0;
        spare = slab;
    }
    lock_release(&sparing);
    return taken;
}

static Slab *spare_take(void)
{
    lock_take(&sparing);
    Slab *slab = spare;
    spare = NULL;
    lock_release(&sparing);
    return slab;
}

/* Empty a pool that came over by a fork. */
static void revive(Pool *pool)
{
    lock_take(&reviving);
    if (pool->forks != forks) {
        pool->lock = (Lock)LOCK_INIT;
        pool->lost = pool->slabs;
        pool->slabs = NULL;
        pool->waiting = NULL;
        pool->idle = 0;
        pool->stays = 1;
        store(&pool->forks, forks);
    }
    lock_release(&reviving);
}

static void pool_lock(Pool *pool)
{
    if (load(&pool->forks) != forks) {
        revive(pool);
    }
    lock_take(&pool->lock);
}

Pool *pool_new(size_t slot, size_t most_idle)
{
    Pool *pool = calloc(1, sizeof *pool);
    if (pool) {
        pool->lock = (Lock)LOCK_INIT;
        pool->slot = (slot + 63) & ~(size_t)63;
        pool->most_idle = most_idle;
        pool->forks = forks;
    }
    return pool;
}

size_t pool_slot(const Pool *pool)
{
    return pool->slot;
}

static void pool_free(Pool *pool)
{
    while (pool->slabs) {
        Slab *slab = pool->slabs;
        pool->slabs = slab->next;
        if (pool->forgot || !spare_put(slab)) {
            pages_free(slab->pages, slab->size);
            free(slab);
        }
    }
    lock_end(&pool->lock);
    free(pool);
}

void pool_close(Pool *pool)
{
    pool_lock(pool);
    pool->closed = 1;
    int last = pool->out == 0 && !pool->stays;
    lock_release(&pool->lock);
    if (last) {
        pool_free(pool);
    }
}

static Slab *slab_new(size_t size)
{
    Slab *slab = malloc(sizeof *slab);
    if (!slab) {
        return NULL;
    }
    *slab = (Slab){.pages = pages_new(size), .size = size};
    if (!slab->pages) {
        free(slab);
        return NULL;
    }
    return slab;
}

/* A slot's memory of a slab, a new one if need be; NULL without memory. The pool is locked. */
static Slot *slab_slot(Pool *pool)
{
    Slab *slab = pool->slabs;
    if (!slab || slab->used + pool->slot > slab->size) {
        size_t size = !slab ? SLAB : slab->size < LARGEST_SLAB ? 2 * slab->size : LARGEST_SLAB;
        size = size > pool->slot ? size : (pool->slot + SLAB - 1) / SLAB * SLAB;
        slab = size == SLAB ? spare_take() : NULL;
        slab = slab ? slab : slab_new(size);
        if (!slab) {
            return NULL;
        }
        slab->next = pool->slabs;
        pool->slabs = slab;
    }
    uint8_t *place = slab->pages + slab->used;
    slab->used += pool->slot;
    return (Slot *)(void *)place;
}

/* --- Slots ------------------------------------------------------------------------------------------------------------- */

/* Bytes of so many rows' offsets or views, and some more, as they are copied in one go. */
static size_t places_size(size_t rows, int views)
{
    return (rows + 16) * (views ? 16 : 4);
}

Slot *slot_new(Pool *pool, size_t single, size_t rows, int views)
{
    const size_t head = (sizeof(Slot) + 63) & ~(size_t)63, valid_size = (rows + 511) / 512 * 64;
    size_t size = pool->slot;
    Slot *slot = NULL;
    rows = (rows + 63) & ~(size_t)63;
    if (single) {
        size = head + valid_size + places_size(rows, views) + single;
        slot = malloc(size);
        if (!slot) {
            return NULL;
        }
    }
    pool_lock(pool);
    if (!single) {
        if (pool->waiting) {
            slot = pool->waiting;
            pool->waiting = slot->next;
            pool->idle--;
        } else {
            slot = slab_slot(pool);
        }
        if (!slot) {
            lock_release(&pool->lock);
            return NULL;
        }
    }
    size_t others = pool->out++;
    lock_release(&pool->lock);
    slot->others = others;
    slot->pool = pool;
    slot->size = size;
    slot->single = single != 0;
    slot->views = views;
    slot->valid = (uint8_t *)slot + head;
    slot->offsets = (int32_t *)(void *)(slot->valid + valid_size);
    slot->data = (uint8_t *)slot->offsets + places_size(rows, views);
    slot->most = (int64_t)rows;
    slot->rows = 0;
    slot->nulls = 0;
    slot->data_size = 0;
    slot->offsets[0] = 0;
    return slot;
}

void slot_drop(Slot *slot)
{
    Pool *pool = slot->pool;
    if (slot->single) {
        free(slot);
        slot = NULL;
    }
    pool_lock(pool);
    pool->out--;
    if (slot) {
        if (pool->idle >= pool->most_idle) {
            pages_forget(slot, pool->slot);
            pool->forgot = 1;
        }
        slot->next = pool->waiting;
        pool->waiting = slot;
        pool->idle++;
    }
    int last = pool->closed && pool->out == 0 && !pool->stays;
    lock_release(&pool->lock);
    if (last) {
        pool_free(pool);
    }
}

static void set_null(Slot *slot, size_t row)
{
    if (!slot->nulls) {
        memset(slot->valid, 0xff, (size_t)((uint8_t *)slot->offsets - slot->valid));
    }
    slot->valid[row >> 3] &= (uint8_t)~(1 << (row & 7));
    slot->nulls++;
}

void slot_add(Slot *slot, const Fault *faults, const Text *texts, size_t count)
{
    int32_t *offsets = slot->offsets + slot->rows + 1, *view = slot->offsets + 4 * slot->rows;
    const int views = slot->views;
    size_t size = slot->data_size;
    for (size_t i = 0; i < count; i++) {
        if (!faults || faults[i] == FAULT_NONE) {
            if (views) { /* a URL is never short enough to stand in its view */
                view[4 * i] = (int32_t)texts[i].size;
                memcpy(view + 4 * i + 1, texts[i].data, 4);
                view[4 * i + 2] = 0;
                view[4 * i + 3] = (int32_t)size;
            }
            size += texts[i].size;
        } else {
            if (views) {
                memset(view + 4 * i, 0, 16);
            }
            set_null(slot, (size_t)slot->rows + i);
        }
        if (!views) {
            offsets[i] = (int32_t)size;
        }
    }
    slot->data_size = size;
    slot->rows += (int64_t)count;
}

size_t slot_unused(const Slot *slot)
{
    return (size_t)((const uint8_t *)slot + slot->size - slot->data) - slot->data_size;
}

Slot *slot_copy(Pool *pool, const Slot *slot)
{
    Slot *copy = slot_new(pool, slot->data_size + 1, (size_t)slot->rows, slot->views);
    if (!copy) {
        return NULL;
    }
    memcpy(copy->valid, slot->valid, (size_t)(slot->rows + 7) / 8);
    memcpy(copy->offsets, slot->offsets, places_size((size_t)slot->rows, slot->views));
    memcpy(copy->data, slot->data, slot->data_size);
    copy->rows = slot->rows;
    copy->nulls = slot->nulls;
    copy->data_size = slot->data_size;
    return copy;
}

Slot *slot_compact(Slot *slot)
{
    if (slot->single || slot->others < KEPT_SLOTS || slot_unused(slot) <= slot->size / 16) {
        return slot;
    }
    Slot *copy = slot_copy(slot->pool, slot);
    if (!copy) {
        return slot;
    }
    slot_drop(slot);
    return copy;
}

int64_t slot_fitting_rows(const Slot *slot)
{
    size_t room = slot->size - (size_t)(slot->data - (const uint8_t *)slot),
           used = slot->data_size ? slot->data_size : 1;
    int64_t rows = (int64_t)(room / 64 * 63 * (size_t)slot->rows / used);
    rows = rows < slot->most ? rows : slot->most;
    return rows > 1 ? rows : 1;
}

static void release_array(ArrowArray *array)
{
    slot_drop(array->private_data);
    array->release = NULL;
}

void slot_export(Slot *slot, ArrowArray *array)
{
    slot->buffers[0] = slot->nulls ? slot->valid : NULL;
    slot->buffers[1] = slot->offsets;
    slot->buffers[2] = slot->data;
    slot->buffers[3] = &slot->view_size;
    slot->view_size = (int64_t)slot->data_size;
    *array = (ArrowArray){
        .length = slot->rows,
        .null_count = slot->nulls,
        .n_buffers = slot->views ? 4 : 3,
        .buffers = slot->buffers,
        .release = release_array,
        .private_data = slot,
    };
}

static void release_schema(ArrowSchema *schema)
{
    schema->release = NULL;
}

void schema_export(ArrowSchema *schema, const char *format)
{
    *schema = (ArrowSchema){.format = format, .name = "", .flags = 2 /* nullable */, .release = release_schema};
}
