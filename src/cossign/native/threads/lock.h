/* Locks, and signals that a thread waits for. */
#ifndef COSSIGN_LOCK_H
#define COSSIGN_LOCK_H

#include "../compiler.h"

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

typedef SRWLOCK Lock;
typedef CONDITION_VARIABLE Signal;
#define LOCK_INIT SRWLOCK_INIT

static inline void lock_take(Lock *lock)
{
    AcquireSRWLockExclusive(lock);
}

static inline void lock_release(Lock *lock)
{
    ReleaseSRWLockExclusive(lock);
}

static inline void lock_end(Lock *lock)
{
    (void)lock;
}

static inline int signal_begin(Signal *signal)
{
    InitializeConditionVariable(signal);
    return 0;
}

static inline void signal_one(Signal *signal)
{
    WakeConditionVariable(signal);
}

static inline void signal_all(Signal *signal)
{
    WakeAllConditionVariable(signal);
}

/* Give the lock up, wait for a signal, at most so long, and take the lock again. It may end for no reason. */
static inline void signal_wait(Signal *signal, Lock *lock, int milliseconds)
{
    SleepConditionVariableSRW(signal, lock, (DWORD)milliseconds, 0);
}
#else
#include <pthread.h>
#include <time.h>

typedef pthread_mutex_t Lock;
typedef pthread_cond_t Signal;
#define LOCK_INIT PTHREAD_MUTEX_INITIALIZER

static inline void lock_take(Lock *lock)
{
    pthread_mutex_lock(lock);
}

static inline void lock_release(Lock *lock)
{
    pthread_mutex_unlock(lock);
}

static inline void lock_end(Lock *lock)
{
    pthread_mutex_destroy(lock);
}

/* Returns 0, or an error's number. A signal has no end: it owns nothing, and after a fork pthread_cond_destroy would wait
   for threads that the new process lacks. */
static inline int signal_begin(Signal *signal)
{
    return pthread_cond_init(signal, NULL);
}

static inline void signal_one(Signal *signal)
{
    pthread_cond_signal(signal);
}

static inline void signal_all(Signal *signal)
{
    pthread_cond_broadcast(signal);
}

/* Give the lock up, wait for a signal, at most so long, and take the lock again. It may end for no reason. If the
   system's clock is set back meanwhile it is longer: another clock would need glibc 2.30, and wheels are for older ones. */
static inline void signal_wait(Signal *signal, Lock *lock, int milliseconds)
{
    struct timespec until = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
#ifdef __APPLE__
    pthread_cond_timedwait_relative_np(signal, lock, &until);
#else
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    until.tv_sec += now.tv_sec + (until.tv_nsec + now.tv_nsec) / 1000000000L;
    until.tv_nsec = (until.tv_nsec + now.tv_nsec) % 1000000000L;
    pthread_cond_timedwait(signal, lock, &until);
#endif
}
#endif

#endif
