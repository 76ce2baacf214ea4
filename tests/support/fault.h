/* Owns: the loop that fails one allocation after another, until the code under test needs no more of them.
 * Must not know: what is tested.
 *
 *     fault f;
 *
 *     FAULT_LOOP(&f) {
 *         fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
 *         fp_context *ctx = NULL;
 *
 *         o.allocator = &f.allocator;
 *         fault_disarm(&f);                 // set-up that shall not fail
 *         ...
 *         fault_arm(&f);                    // from here the Nth allocation fails
 *         rc = fp_noun_new(..., &out, &err);
 *         fault_judge(&f, rc, &err);        // OK, or NOMEM with code and text set
 *         if (rc < 0)
 *             ck_assert_ptr_null(out);      // outputs untouched
 *         ... free everything ...
 *     }                                     // checks that no block is alive, goes on with N + 1
 *
 * Runs through twice: only the Nth fails (transient), then the Nth and all after it (persistent). */
#ifndef TESTS_FAULT_H
#define TESTS_FAULT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include <check.h>

#include <fileproc/context.h>

typedef struct fault {
    fp_allocator allocator;
    pthread_mutex_t lock;
    long live;    /* blocks allocated and not freed */
    long count;   /* allocations while armed */
    long fail_at; /* this one fails */
    bool armed, persistent, injected, started;
} fault;

void fault_init(fault *f);
bool fault_more(fault *f);
void fault_arm(fault *f);
void fault_disarm(fault *f);
/* rc must be OK when nothing was injected, and OK or NOMEM (with err filled) when something was. Disarms. */
void fault_judge(fault *f, fp_status rc, const fp_error *err);

#define FAULT_LOOP(f) for (fault_init(f); fault_more(f);)

#endif
