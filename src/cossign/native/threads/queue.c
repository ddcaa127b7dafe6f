/* Tasks that threads take in turn: see queue.h. */
/* clock_gettime, where the compiler keeps to C11. NOLINTNEXTLINE(*-reserved-identifier,cert-dcl*) */
#define _DEFAULT_SOURCE
#include "queue.h"

#include "lock.h"

#include <stdlib.h>

struct Queue {
    Lock lock;       /* of all below, and of the tasks */
    Signal for_work; /* threads without a task wait for it */
    Signal for_done; /* the thread that wants a result waits for it */
    QueueTask *first;
    QueueTask *last;
    int most_threads;
    int threads;
    int asleep; /* of them */
};

Queue *queue_new(int most_threads)
{
    Queue *queue = calloc(1, sizeof *queue);
    if (!queue) {
        return NULL;
    }
    if (signal_begin(&queue->for_work) || signal_begin(&queue->for_done)) {
        free(queue);
        return NULL;
    }
    queue->lock = (Lock)LOCK_INIT;
    queue->most_threads = most_threads;
    return queue;
}

void queue_free(Queue *queue)
{
    if (queue) {
        lock_end(&queue->lock);
        free(queue);
    }
}

int queue_add(Queue *queue, QueueTask *task)
{
    int start;
    lock_take(&queue->lock);
    task->next = NULL;
    task->is_done = 0;
    if (queue->first) {
        queue->last->next = task;
    } else {
        queue->first = task;
    }
    queue->last = task;
    start = !queue->asleep && queue->threads < queue->most_threads;
    queue->threads += start;
    signal_one(&queue->for_work);
    lock_release(&queue->lock);
    return start;
}

void queue_leave(Queue *queue)
{
    lock_take(&queue->lock);
    queue->threads--;
    lock_release(&queue->lock);
}

/* The lock is held. */
static QueueTask *take_first(Queue *queue)
{
    QueueTask *task = queue->first;
    if (task) {
        queue->first = task->next;
    }
    return task;
}

QueueTask *queue_take(Queue *queue, int milliseconds)
{
    QueueTask *task;
    lock_take(&queue->lock);
    if (!queue->first && milliseconds) {
        queue->asleep++;
        signal_wait(&queue->for_work, &queue->lock, milliseconds);
        queue->asleep--;
    }
    task = take_first(queue);
    if (!task) {
        queue->threads--;
    }
    lock_release(&queue->lock);
    return task;
}

QueueTask *queue_help(Queue *queue)
{
    QueueTask *task;
    lock_take(&queue->lock);
    task = take_first(queue);
    lock_release(&queue->lock);
    return task;
}

void queue_finish(Queue *queue, QueueTask *task)
{
    lock_take(&queue->lock);
    task->is_done = 1;
    signal_all(&queue->for_done);
    lock_release(&queue->lock);
}

int queue_wait(Queue *queue, const QueueTask *task, int milliseconds)
{
    int is_done;
    lock_take(&queue->lock);
    if (!task->is_done && milliseconds) {
        signal_wait(&queue->for_done, &queue->lock, milliseconds);
    }
    is_done = task->is_done;
    lock_release(&queue->lock);
    return is_done;
}

void queue_clear(Queue *queue)
{
    lock_take(&queue->lock);
    for (; queue->first; queue->first = queue->first->next) {
        queue->first->is_done = 1;
    }
    signal_all(&queue->for_done);
    lock_release(&queue->lock);
}
