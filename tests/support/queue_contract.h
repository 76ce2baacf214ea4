/* Owns: the promises of fileproc/queue.h as tests, to be run against every driver.
 * Must not know: any driver. */
#ifndef TESTS_QUEUE_CONTRACT_H
#define TESTS_QUEUE_CONTRACT_H

#include <check.h>

#include <fileproc/context.h>
#include <fileproc/queue.h>

/* How a driver's test program makes an empty queue. */
typedef struct queue_contract {
    fp_queue *(*fresh)(fp_context *ctx); /* open, nothing in it */
    void (*gone)(fp_queue *q);           /* closes it and removes what fresh() made */
} queue_contract;

/* Adds the tests; each runs once per driver. drivers must stay alive. */
void queue_contract_add(Suite *suite, const queue_contract *drivers, int count);

#endif
