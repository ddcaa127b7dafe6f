/* Counters in memory that processes share, changed by atomic operations; and the clocks. */
#ifndef COSSIGN_COUNTERS_H
#define COSSIGN_COUNTERS_H

#include <stdint.h>
#include <time.h>

#if defined(_MSC_VER)
#define WIN32_LEAN_AND_MEAN
#include <intrin.h>
#include <windows.h>
static inline int64_t board_add(volatile int64_t *at, int64_t more)
{
    return _InterlockedExchangeAdd64(at, more) + more;
}
static inline int64_t board_get(volatile int64_t *at)
{
    return _InterlockedOr64(at, 0);
}
static inline int board_swap(volatile int64_t *at, int64_t old, int64_t now)
{
    return _InterlockedCompareExchange64(at, now, old) == old;
}
static inline int64_t now_ns(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
static inline int64_t tick_ns(void)
{
    LARGE_INTEGER ticks, second;
    QueryPerformanceCounter(&ticks);
    QueryPerformanceFrequency(&second);
    return ticks.QuadPart / second.QuadPart * 1000000000
           + ticks.QuadPart % second.QuadPart * 1000000000 / second.QuadPart;
}
#else
static inline int64_t board_add(volatile int64_t *at, int64_t more)
{
    return __atomic_add_fetch(at, more, __ATOMIC_RELAXED);
}
static inline int64_t board_get(volatile int64_t *at)
{
    return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}
static inline int board_swap(volatile int64_t *at, int64_t old, int64_t now)
{
    return __atomic_compare_exchange_n(at, &old, now, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}
static inline int64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
static inline int64_t now_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}
static inline int64_t tick_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}
#endif

#endif
