/* Times one engine's SHA-1 over long messages, for bench/order.py: nanoseconds and TSC ticks a block, the best of many. */
#include "sha1.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#ifdef __x86_64__
#include <x86intrin.h>
#else
#define __rdtsc() 0ull
#endif

static double now(void)
{
    struct timespec time;
    timespec_get(&time, TIME_UTC);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

int main(void)
{
    enum { ROWS = 64, BLOCKS = 32, SIZE = BLOCKS * SHA1_BLOCK };
    static uint8_t http[ROWS * SIZE + 2 * SHA1_BLOCK], holes[ROWS][SHA1_HEX], portable[ROWS][SHA1_HEX];
    static sha1_row rows[ROWS];
    const sha1_row *order[ROWS];
    sha1_key key;
    double best = 1e18, ticks = 1e18;
    sha1_prepare(&key, (const uint8_t *)"key", 3, (const uint8_t *)"sha1\n1557989753;1557996953\n", 27);
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < SIZE - 9; j++) {
            http[i * SIZE + j] = (uint8_t)(i * 31 + j * 7 + j / 64);
        }
        rows[i] = (sha1_row){http + i * SIZE, SIZE - 9, portable[i], NULL};
        order[i] = &rows[i];
    }
    for (int i = 0; i < ROWS; i++) {
        sha1_pad(http + i * SIZE, SIZE - 9, 0);
        for (int j = 0; i + 1 < ROWS && j < SIZE - 9; j++) { /* the padding runs into the next message */
            http[(i + 1) * SIZE + j] = (uint8_t)((i + 1) * 31 + j * 7 + j / 64);
        }
    }
    sha1_sign_portable(&key, order, ROWS);
    for (int i = 0; i < ROWS; i++) {
        rows[i].hole = holes[i];
    }
    for (int round = 0; round < 400; round++) {
        double time = now();
        unsigned long long tick = __rdtsc();
        SIGN(&key, order, ROWS);
        double took = (double)(__rdtsc() - tick);
        time = now() - time;
        best = time < best ? time : best;
        ticks = took < ticks ? took : ticks;
    }
    if (memcmp(holes, portable, sizeof holes)) {
        puts("wrong");
        return 1;
    }
    printf("%.3f %.2f\n", best / (ROWS * (BLOCKS + 3)), ticks / (ROWS * (BLOCKS + 3)));
    return 0;
}
