/* What the check programs share: chance, and how they are run. Arguments: seed, seconds. A program ends with 1 at the
   first thing that is wrong. With FUZZ it is a target of libFuzzer, whose input takes the place of chance as far as it
   reaches. */
#include <stdio.h>
#include <stdlib.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

/* What is wrong before there is any input, or NULL. */
static const char *check_start(void);

/* What is wrong after one round, or NULL. With FUZZ a round is one thing, which chance chooses: an input that reaches
   one thing only is short, and its bytes mean the same when another is found. */
static const char *check_round(void);

/* A line that says what was checked. */
static void check_report(void);

static uint64_t seed;
static const uint8_t *input; /* libFuzzer's, */
static size_t left;          /* and how many bytes of it are left */

static uint64_t next(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return seed >> 32;
}

static uint32_t below(uint32_t end)
{
    if (left > 1) {
        uint32_t number = input[0] | (uint32_t)input[1] << 8;
        input += 2;
        left -= 2;
        return number % end;
    }
    return (uint32_t)(next() >> 1) % end;
}

static inline void fill(uint8_t *out, size_t size)
{
    size_t filled = 0;
    while (filled < size && left > 1) {
        out[filled++] = (uint8_t)below(256);
    }
    while (filled < size) { /* four bytes at a time, as this is most of the work */
        size_t step = size - filled < 4 ? size - filled : 4;
        uint32_t bytes = (uint32_t)next();
        memcpy(out + filled, &bytes, step);
        filled += step;
    }
}

/* A copy in memory of exactly its size, so that a sanitizer sees what reads beyond it. */
static inline uint8_t *exact_copy(const void *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
    return copy;
}

/* What is wrong by the first of these that finds something, or NULL. With FUZZ one of them is called. */
static inline const char *check_all(const char *(*const *checks)(void), size_t count)
{
    const char *wrong = NULL;
#ifdef FUZZ
    wrong = checks[below((uint32_t)count)]();
#else
    for (size_t i = 0; !wrong && i < count; i++) {
        wrong = checks[i]();
    }
#endif
    return wrong;
}

#ifdef FUZZ
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void stop_at(const char *wrong)
{
    if (wrong) {
        puts(wrong);
        abort();
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    stop_at(check_start());
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input = data;
    left = size;
    seed = size;
    stop_at(check_round());
    return 0;
}
#else
int main(int argc, char **argv)
{
    seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    time_t end = time(NULL) + (argc > 2 ? atoi(argv[2]) : 2);
    const char *wrong = check_start();
    for (int rounds = 0; !wrong && (rounds < 100 || time(NULL) < end); rounds++) {
        wrong = check_round();
    }
    if (wrong) {
        printf("%s; seed %s\n", wrong, argc > 1 ? argv[1] : "1");
        return 1;
    }
    check_report();
    return 0;
}
#endif
