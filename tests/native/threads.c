/* The queue: threads that come and go take tasks while one thread waits for them in order, and may give up. */
/* clock_gettime, where the compiler keeps to C11. */
#define _DEFAULT_SOURCE
#include "threads/queue.h"

#include "check.h"

#include <pthread.h>

enum { MOST_TASKS = 200, MOST_THREADS = 8 };

typedef struct {
    QueueTask task;
    int number; /* 0 until it is taken, then its number from 1 on */
    int times;  /* how often it was taken */
} Task;

typedef struct {
    Queue *queue;
    Task *tasks;
    int patience; /* milliseconds that a thread waits for more */
} Work;

static size_t checked, drops;

static void do_task(const Work *work, QueueTask *task)
{
    Task *own = (Task *)(void *)task;
    own->number = (int)(own - work->tasks) + 1;
    own->times++;
    queue_finish(work->queue, task);
}

static void *in_thread(void *argument)
{
    const Work *work = argument;
    QueueTask *task;
    while ((task = queue_take(work->queue, work->patience)) != NULL) {
        do_task(work, task);
    }
    return NULL;
}

/* Add some tasks; each thread that the queue asks for is started, or could not be. */
static int add_tasks(Work *work, int from, int to, pthread_t *threads, int started, int fails)
{
    for (int i = from; i < to; i++) {
        if (queue_add(work->queue, &work->tasks[i].task)) {
            if (fails && below(2)) {
                queue_leave(work->queue);
            } else if (started < MOST_TASKS && pthread_create(&threads[started], NULL, in_thread, work) == 0) {
                started++;
            } else {
                queue_leave(work->queue);
            }
        }
    }
    return started;
}

static const char *check_queue(void)
{
    Task tasks[MOST_TASKS];
    pthread_t threads[MOST_TASKS];
    Work work = {queue_new((int)below(MOST_THREADS)), tasks, (int)below(3)};
    const int count = 1 + (int)below(MOST_TASKS), ahead = 1 + (int)below(20), fails = below(4) == 0;
    const int stop = below(3) ? count : (int)below((uint32_t)count); /* from here on nothing more is begun */
    int added = 0, started = 0, right = work.queue != NULL;
    memset(tasks, 0, sizeof tasks);
    for (int i = 0; right && i < count; i++) {
        int to = i + ahead < count ? i + ahead : count;
        if (i == stop) {
            queue_clear(work.queue);
            drops++;
        }
        if (i < stop && added < to) {
            started = add_tasks(&work, added, to, threads, started, fails);
            added = to;
        }
        if (i >= added) { /* it was never added */
            right &= tasks[i].times == 0;
            continue;
        }
        while (!queue_wait(work.queue, &tasks[i].task, 0)) {
            QueueTask *other = queue_help(work.queue);
            if (other) {
                do_task(&work, other);
            } else {
                queue_wait(work.queue, &tasks[i].task, 20);
            }
        }
        right &=
            tasks[i].times <= 1 && (tasks[i].times == 1 || i >= stop) && tasks[i].number == tasks[i].times * (i + 1);
    }
    for (int i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
    }
    queue_free(work.queue);
    checked += (size_t)count;
    return right ? NULL : "the queue lost a task, or gave it twice";
}

/* One step after the other: who is to be started, what is taken, and what counts as done. */
static int check_steps(void)
{
    QueueTask tasks[5];
    Queue *queue = queue_new(2);
    int right = queue_add(queue, &tasks[0]) && queue_add(queue, &tasks[1]) && !queue_add(queue, &tasks[2]);
    queue_leave(queue); /* one could not be started */
    right &= queue_add(queue, &tasks[3]) && !queue_add(queue, &tasks[4]);
    right &= queue_take(queue, 0) == &tasks[0] && queue_help(queue) == &tasks[1] && queue_take(queue, 1) == &tasks[2];
    queue_finish(queue, &tasks[1]);
    right &= !queue_wait(queue, &tasks[0], 0) && queue_wait(queue, &tasks[1], 0) && !queue_wait(queue, &tasks[2], 1);
    queue_clear(queue);
    right &= queue_wait(queue, &tasks[3], 0) && queue_wait(queue, &tasks[4], 0) && !queue_wait(queue, &tasks[2], 0);
    right &= !queue_help(queue) && !queue_help(queue); /* which are not counted */
    right &= !queue_add(queue, &tasks[3]) && queue_take(queue, 0) == &tasks[3];
    right &= !queue_take(queue, 0) && !queue_take(queue, 1); /* both threads end */
    right &= queue_add(queue, &tasks[3]) && queue_add(queue, &tasks[4]) && !queue_add(queue, &tasks[0]);
    queue_free(queue);
    return right;
}

static const char *check_start(void)
{
    queue_free(NULL);
    return check_steps() ? check_queue() : "the queue starts too many threads, or forgets a task";
}

static const char *check_round(void)
{
    return check_queue();
}

static void check_report(void)
{
    printf("threads agree on %zu tasks, %zu rounds given up\n", checked, drops);
}
