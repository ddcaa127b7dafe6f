/* The engines' SHA-1 alone, as a library for kernels.py: messages that have nothing in common, hashed and signed. */
#include "sha1/engine.h"

#include <stdlib.h>

#define EXPORTED __attribute__((visibility("default")))

enum {
    BLOCKS = 16, /* of one message: the messages stay in the second cache */
    ROWS = 128
};

typedef struct {
    sha1_engine engine;
    sha1_key key;
    sha1_row rows[ROWS];
    uint8_t http[ROWS][BLOCKS * SHA1_BLOCK];
    uint8_t slack[2 * SHA1_BLOCK];
    uint8_t holes[ROWS][SHA1_HEX];
} Work;

/* Work for the engine of this name, to be freed by free(); NULL if this CPU has none. */
EXPORTED Work *work_new(const char *name);
/* Hash them, so many times over. */
EXPORTED void work_do(const Work *work, size_t times);
/* The blocks that one call hashes. */
EXPORTED size_t work_blocks(void);

Work *work_new(const char *name)
{
    sha1_engine engines[SHA1_ENGINES];
    size_t count = sha1_engines(engines, cpu_features()), found = 0;
    while (found < count && strcmp(engines[found].name, name) != 0) {
        found++;
    }
    Work *work = found < count ? calloc(1, sizeof *work) : NULL;
    if (!work) {
        return NULL;
    }
    work->engine = engines[found];
    sha1_prepare(&work->key, (const uint8_t *)"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk", 40,
        (const uint8_t *)"sha1\n1557989753;1557996953\n", 27);
    for (size_t row = 0; row < ROWS; row++) {
        size_t size = sizeof work->http[row] - 9;
        for (size_t i = 0; i < size; i++) {
            work->http[row][i] = (uint8_t)(row * 31 + i * 7 + i / 64);
        }
        work->rows[row] = (sha1_row){work->http[row], size, work->holes[row], NULL};
    }
    for (size_t row = 0; row < ROWS; row++) {
        uint8_t *end = work->http[row] + sizeof work->http[row];
        uint64_t bits = 8 * (uint64_t)work->rows[row].size;
        end[-9] = 0x80;
        for (int i = 0; i < 8; i++) {
            end[i - 8] = (uint8_t)(bits >> (56 - 8 * i));
        }
    }
    return work;
}

void work_do(const Work *work, size_t times)
{
    for (size_t i = 0; i < times; i++) {
        sha1_sign(&work->engine, &work->key, work->rows, ROWS);
    }
}

size_t work_blocks(void)
{
    return ROWS * (BLOCKS + 3);
}
