/* What this CPU has, as it says itself. The compilers' own functions for this need a library that Windows lacks, and
   some do not know the SHA instructions. */
#include "cpu.h"

const char *const cpu_names[CPU_FEATURES] = {"ssse3", "sse4_1", "sha_ni", "avx2", "avx512f", "avx512bw", "sha1"};

#ifdef ENGINES_X86
#include <cpuid.h>

/* Intel's manual, volume 1, chapter 13 ("XCR0"): the registers that the system saves when it changes threads. macOS saves
   those of AVX-512 only for threads that have used them, so that AVX-512 counts as missing there. */
enum {
    SAVED_BY_AVX = 0x06,   /* XMM and the upper halves of YMM */
    SAVED_BY_AVX512 = 0xe6 /* the masks and ZMM, too */
};

static uint32_t saved_registers(void)
{
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

uint32_t cpu_features(void)
{
    unsigned a, b, c, d;
    uint32_t features = 0, saved;
    if (!__get_cpuid_count(1, 0, &a, &b, &c, &d)) {
        return 0;
    }
    features |= c >> 9 & 1 ? CPU_SSSE3 : 0;
    features |= c >> 19 & 1 ? CPU_SSE4_1 : 0;
    saved = c >> 27 & 1 ? saved_registers() : 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        return features;
    }
    features |= b >> 29 & 1 ? CPU_SHA_NI : 0;
    if ((saved & SAVED_BY_AVX) == SAVED_BY_AVX) {
        features |= b >> 5 & 1 ? CPU_AVX2 : 0;
    }
    if ((saved & SAVED_BY_AVX512) == SAVED_BY_AVX512) {
        features |= b >> 16 & 1 ? CPU_AVX512F : 0;
        features |= b >> 30 & 1 ? CPU_AVX512BW : 0;
    }
    return features;
}
#elif defined(ENGINES_ARM)
#if defined(__linux__)
#include <sys/auxv.h>

uint32_t cpu_features(void)
{
    return getauxval(AT_HWCAP) & 1ul << 5 ? CPU_ARM_SHA1 : 0; /* HWCAP_SHA1 */
}
#elif defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

uint32_t cpu_features(void)
{
    return IsProcessorFeaturePresent(30) ? CPU_ARM_SHA1 : 0; /* PF_ARM_V8_CRYPTO_INSTRUCTIONS_AVAILABLE */
}
#elif defined(__APPLE__)
uint32_t cpu_features(void)
{
    return CPU_ARM_SHA1; /* every 64-bit CPU of Apple has it */
}
#else
uint32_t cpu_features(void)
{
    return 0;
}
#endif
#else
uint32_t cpu_features(void)
{
    return 0;
}
#endif
