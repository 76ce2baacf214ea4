/* Owns: the promises of fileproc/storage.h as tests, to be run against every driver.
 * Must not know: any driver. */
#ifndef TESTS_STORAGE_CONTRACT_H
#define TESTS_STORAGE_CONTRACT_H

#include <stdbool.h>

#include <check.h>

#include <fileproc/context.h>
#include <fileproc/storage.h>

/* How a driver's test program makes an empty store. */
typedef struct storage_contract {
    const char *scheme;
    void (*fresh)(char uri[128]);  /* writes the URI of an empty store */
    void (*gone)(const char *uri); /* removes what fresh() made; the store is closed */
    bool keeps;                    /* what is stored outlives the handle */
    bool server_clock;             /* times are those of a server: about now, to the second */
    bool flat;                     /* no folders: a key may begin with another one and '/' */
    /* A server without conditional writes, that is of several minds for a moment: of exclusive puts at the same moment more than one may
     * succeed, and who reads while an object is replaced may find none. docs/internals/storage-s3.md */
    bool eventual;
    const fp_storage_options *(*options)(void); /* NULL = all defaults */
} storage_contract;

/* An open, empty store of one driver, with a clock that the test sets. */
typedef struct storage_world {
    const storage_contract *driver;
    fp_context *ctx;
    fp_storage *st;
    int64_t now_ms;
    char uri[128];
} storage_world;

/* A time of publication that a store tells: the world's, or the server's. */
bool storage_world_time_is(const storage_world *w, int64_t told_ms, int64_t world_ms);

void storage_world_open(storage_world *w, const storage_contract *driver);
void storage_world_close(storage_world *w);
/* Closes the store and opens it again, when the driver keeps what is stored. */
void storage_world_restart(storage_world *w);

/* Runs fn(arg) on `count` threads and waits; arg is the n-th of an array of elements of this size. */
void run_threads(size_t count, void *(*fn)(void *), void *args, size_t size);

/* Adds the tests on objects and on assemblies; each runs once per driver. drivers must stay alive. */
void storage_contract_add(Suite *suite, const storage_contract *drivers, int count);
void assembly_contract_add(Suite *suite, const storage_contract *drivers, int count);

#endif
