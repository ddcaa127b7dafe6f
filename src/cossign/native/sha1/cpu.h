/* What a CPU has beyond what every CPU of its kind has, as far as an engine needs it. */
#ifndef COSSIGN_CPU_H
#define COSSIGN_CPU_H

#include "../compiler.h"

#include <stdint.h>

/* Each is one bit. The order is that of cpu_names. */
typedef enum {
    CPU_SSSE3 = 1 << 0,
    CPU_SSE4_1 = 1 << 1,
    CPU_SHA_NI = 1 << 2,
    CPU_AVX2 = 1 << 3,
    CPU_AVX512F = 1 << 4,
    CPU_AVX512BW = 1 << 5,
    CPU_ARM_SHA1 = 1 << 6
} CpuFeature;

enum { CPU_FEATURES = 7 };

/* Linux's names for them, as in /proc/cpuinfo. */
extern const char *const cpu_names[CPU_FEATURES];

/* What this CPU has. A feature whose registers the system does not save counts as missing. */
uint32_t cpu_features(void);

#endif
