/* Tasks that threads take in turn, while another thread waits for their results in order. */
#ifndef COSSIGN_QUEUE_H
#define COSSIGN_QUEUE_H

enum {
    QUEUE_PATIENCE = 20 /* milliseconds: what waits for a queue looks around as often */
};

/* A part of a caller's task. */
typedef struct QueueTask {
    struct QueueTask *next; /* of those that no thread has begun */
    int is_done;
} QueueTask;

typedef struct Queue Queue;

/* A queue for at most so many threads besides the one that waits. Returns NULL if the system has none. */
Queue *queue_new(int most_threads);

/* No thread may use the queue any more. */
void queue_free(Queue *queue);

/* Add a task. Returns whether the caller should start a thread, which then counts as one of the queue's. */
int queue_add(Queue *queue, QueueTask *task);

/* A thread that queue_add asked for could not be started. */
void queue_leave(Queue *queue);

/* The next task that no thread has begun. If there is none, wait for one, at most so long; 0 does not wait.
   Returns NULL if there is still none. A thread of the queue must end at NULL: it is not counted any more. */
QueueTask *queue_take(Queue *queue, int milliseconds);

/* The same for the thread that waits for results: it does not wait here, and is not counted. */
QueueTask *queue_help(Queue *queue);

/* A task that was taken is done. */
void queue_finish(Queue *queue, QueueTask *task);

/* Wait until a task is done, at most so long; 0 does not wait. Returns whether it is. It may end for no reason. */
int queue_wait(Queue *queue, const QueueTask *task, int milliseconds);

/* Drop what no thread has begun: it counts as done. */
void queue_clear(Queue *queue);

#endif
