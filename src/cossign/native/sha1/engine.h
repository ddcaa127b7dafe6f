/* The engines of a CPU: the one interface that the core sees. */
#ifndef COSSIGN_ENGINE_H
#define COSSIGN_ENGINE_H

#include "../text/frame.h"
#include "cpu.h"
#include "sha1.h"

enum {
    SHA1_ENGINES = 8 /* the most that a CPU can have */
};

typedef struct {
    const char *name;
    uint32_t needs; /* CpuFeatures that the CPU must have */
    size_t lanes;
    sha1_signer *sign;
    sha1_signer *rest; /* for rows that would leave most lanes empty: */
    size_t few;        /* up to so many */
    sha1_compressor *compress;
    frame_layer *lay; /* NULL if it has none */
} sha1_engine;

/* The engines of a CPU with these CpuFeatures, fastest first; returns how many. */
size_t sha1_engines(sha1_engine engines[SHA1_ENGINES], uint32_t cpu);

/* Fill every row's hole; without a `key` by the row's own, whose heads have one size. */
void sha1_sign(const sha1_engine *engine, const sha1_key *key, const sha1_row *rows, size_t count);

#endif
