"""The Arrow C data and stream interfaces (https://arrow.apache.org/docs/format/CDataInterface.html), and whole pages
of memory for results."""

from libc.stdint cimport int64_t

cdef extern from *:
    """
    #ifndef ARROW_C_DATA_INTERFACE
    #define ARROW_C_DATA_INTERFACE
    struct ArrowSchema {
        const char *format, *name, *metadata;
        int64_t flags, n_children;
        struct ArrowSchema **children, *dictionary;
        void (*release)(struct ArrowSchema *);
        void *private_data;
    };
    struct ArrowArray {
        int64_t length, null_count, offset, n_buffers, n_children;
        const void **buffers;
        struct ArrowArray **children, *dictionary;
        void (*release)(struct ArrowArray *);
        void *private_data;
    };
    #endif
    #ifndef ARROW_C_STREAM_INTERFACE
    #define ARROW_C_STREAM_INTERFACE
    struct ArrowArrayStream {
        int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *out);
        int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *out);
        const char *(*get_last_error)(struct ArrowArrayStream *);
        void (*release)(struct ArrowArrayStream *);
        void *private_data;
    };
    #endif

    /* Whole pages, huge ones where Linux has them: the first touch of a small page costs more than signing into it. */
    #if defined(__linux__)
    #include <sys/mman.h>
    #include <stdint.h>
    static void *pages_new(size_t size)
    {
        const size_t huge = (size_t)1 << 21;
        char *start = mmap(NULL, size + huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (start == MAP_FAILED) {
            return NULL;
        }
        char *aligned = (char *)(((uintptr_t)start + huge - 1) & ~(uintptr_t)(huge - 1));
        if (aligned > start) {
            munmap(start, (size_t)(aligned - start));
        }
        if (start + huge > aligned) {
            munmap(aligned + size, (size_t)(start + huge - aligned));
        }
        madvise(aligned, size, MADV_HUGEPAGE);
        return aligned;
    }
    static void pages_free(void *pages, size_t size)
    {
        munmap(pages, size);
    }
    /* Give the memory of pages back, all but the first 4096 bytes; they may be used again. */
    static void pages_forget(void *pages, size_t size)
    {
        madvise((char *)pages + 4096, size - 4096, MADV_DONTNEED);
    }
    #else
    #include <stdlib.h>
    static void pages_forget(void *pages, size_t size)
    {
        (void)pages;
        (void)size;
    }
    static void *pages_new(size_t size)
    {
        return malloc(size);
    }
    static void pages_free(void *pages, size_t size)
    {
        (void)size;
        free(pages);
    }
    #endif
    """
    ctypedef struct ArrowSchema "struct ArrowSchema":
        const char* format
        const char* name
        const char* metadata
        int64_t flags
        int64_t n_children
        ArrowSchema** children
        ArrowSchema* dictionary
        void (*release)(ArrowSchema*) noexcept nogil
        void* private_data
    ctypedef struct ArrowArray "struct ArrowArray":
        int64_t length
        int64_t null_count
        int64_t offset
        int64_t n_buffers
        int64_t n_children
        const void** buffers
        ArrowArray** children
        ArrowArray* dictionary
        void (*release)(ArrowArray*) noexcept nogil
        void* private_data
    ctypedef struct ArrowArrayStream "struct ArrowArrayStream":
        int (*get_schema)(ArrowArrayStream*, ArrowSchema*) noexcept nogil
        int (*get_next)(ArrowArrayStream*, ArrowArray*) noexcept nogil
        const char* (*get_last_error)(ArrowArrayStream*) noexcept nogil
        void (*release)(ArrowArrayStream*) noexcept nogil
        void* private_data
    void* pages_new(size_t size) noexcept nogil
    void pages_forget(void* pages, size_t size) noexcept nogil
    void pages_free(void* pages, size_t size) noexcept nogil
