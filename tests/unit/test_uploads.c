/* Owns: the promises of the upload engine's handle: its settings, looking at uploads, sessions that come and go in memory.
 * Must not know: chunks (test_chunk.c), completion (test_upload_complete.c). */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault.h"
#include "runner.h"
#include "storage_contract.h"
#include "upload_world.h"

static upload_world w;

START_TEST(upload_goes_all_the_way)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE], key[64];
        fp_upload *u;

        must_create(&w, 2500, id);
        ck_upload(&w, id, "initiated", 0);
        must_chunk(&w, id, 0, 7);
        ck_upload(&w, id, "uploading", 1);
        must_chunk(&w, id, 1, 7);
        must_chunk(&w, id, 2, 7);
        ck_upload(&w, id, "uploading", 3);
        u = must_complete(&w, id);
        ck_assert_str_eq(u->status, "completed");
        upload_object_key(u, key);
        ck_assert(object_is(w.st, key, 7, 2500));
        ck_assert_uint_eq(staged_count(w.st), 0);
        fp_upload_free(u);
        ck_upload(&w, id, "completed", 3);
    }
}
END_TEST

START_TEST(uploads_that_are_not_there_are_not_found)
{
    static const char *const ids[] = { "", "x", "../../etc/passwd",
                                       "0198c000-0000-7000-8000-000000000001",
                                       "0198C000-0000-7000-8000-000000000001" };

    EACH_STORE(&w)
    {
        for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
            fp_upload *u = NULL;
            fp_error err = { 0 };

            ck_reason(fp_upload_get(w.ups, ids[i], &u, &err), FILEPROC_ERR_NOTFOUND,
                      "upload_not_found", &err);
            ck_assert_ptr_null(u);
        }
    }
}
END_TEST

/* More than are kept in memory: each is read again when it is needed, and nothing of it is forgotten. */
START_TEST(sessions_come_and_go_in_memory)
{
    enum { COUNT = 400 };
    static char ids[COUNT][FPI_UUID_SIZE];

    EACH_STORE(&w)
    {
        for (int i = 0; i < COUNT; i++) {
            must_create(&w, 2500, ids[i]);
            must_chunk(&w, ids[i], 0, (unsigned)i);
        }
        for (int i = 0; i < COUNT; i++)
            must_chunk(&w, ids[i], 1, (unsigned)i);
        for (int i = 0; i < COUNT; i++) {
            char key[64];
            fp_upload *u;

            ck_upload(&w, ids[i], "uploading", 2);
            must_chunk(&w, ids[i], 2, (unsigned)i);
            u = must_complete(&w, ids[i]);
            ck_assert_ptr_nonnull(u->sha256);
            upload_object_key(u, key);
            ck_assert(object_is(w.st, key, (unsigned)i, 2500));
            fp_upload_free(u);
        }
    }
}
END_TEST

START_TEST(status_does_not_wait_for_writers)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];
        fp_chunk *c;

        must_create(&w, 2500, id);
        c = must_begin(&w, id, 0);
        ck_upload(&w, id, "initiated", 0);
        fp_chunk_free(c);
    }
}
END_TEST

static void look(int slot, void *user_data)
{
    (void)slot;
    ck_upload(&w, user_data, "uploading", 1); /* from inside the driver: nothing is locked */
}

START_TEST(status_is_told_while_chunks_are_stored)
{
    EACH_STORE(&w)
    {
        char id[FPI_UUID_SIZE];

        must_create(&w, 2000, id);
        must_chunk(&w, id, 0, 1);
        w.slot_data = id;
        w.on_slot = look;
        must_chunk(&w, id, 1, 1);
        w.on_slot = NULL;
        ck_upload(&w, id, "uploading", 2);
    }
}
END_TEST

START_TEST(wrong_settings_are_refused)
{
    EACH_STORE(&w)
    {
        fp_uploads_options good = FILEPROC_UPLOADS_OPTIONS_INIT, o;
        fp_uploads *ups = NULL;

        good.database = w.db;
        good.storage = w.st;
        good.catalog = w.cat;
        ck_assert_int_eq(fp_uploads_open(NULL, &good, &ups, NULL), FILEPROC_ERR_INVALID);
        ck_assert_int_eq(fp_uploads_open(w.ctx, NULL, &ups, NULL), FILEPROC_ERR_INVALID);
        ck_assert_int_eq(fp_uploads_open(w.ctx, &good, NULL, NULL), FILEPROC_ERR_INVALID);
        o = good;
        o.database = NULL;
        ck_assert_int_eq(fp_uploads_open(w.ctx, &o, &ups, NULL), FILEPROC_ERR_INVALID);
        o = good;
        o.storage = NULL;
        ck_assert_int_eq(fp_uploads_open(w.ctx, &o, &ups, NULL), FILEPROC_ERR_INVALID);
        o = good;
        o.catalog = NULL;
        ck_assert_int_eq(fp_uploads_open(w.ctx, &o, &ups, NULL), FILEPROC_ERR_INVALID);
        o = good;
        o.chunk_size = ((uint64_t)1 << 30) + 1;
        ck_assert_int_eq(fp_uploads_open(w.ctx, &o, &ups, NULL), FILEPROC_ERR_INVALID);
        o = good;
        o.max_file_size = UINT64_MAX;
        ck_assert_int_eq(fp_uploads_open(w.ctx, &o, &ups, NULL), FILEPROC_ERR_INVALID);
        o = good;
        o.allowed_types = "image/*,nonsense";
        ck_assert_int_eq(fp_uploads_open(w.ctx, &o, &ups, NULL), FILEPROC_ERR_INVALID);
        o = good;
        o.session_timeout_ms = -1;
        ck_assert_int_eq(fp_uploads_open(w.ctx, &o, &ups, NULL), FILEPROC_ERR_INVALID);
        o = good;
        o.tombstone_ms = INT64_MAX;
        ck_assert_int_eq(fp_uploads_open(w.ctx, &o, &ups, NULL), FILEPROC_ERR_INVALID);
        o = good;
        o.bucket = "";
        ck_assert_int_eq(fp_uploads_open(w.ctx, &o, &ups, NULL), FILEPROC_ERR_INVALID);
        o = good;
        o.struct_size = 1;
        ck_assert_int_eq(fp_uploads_open(w.ctx, &o, &ups, NULL), FILEPROC_ERR_INVALID);
        ck_assert_ptr_null(ups);
        fp_uploads_free(NULL);
        fp_upload_free(NULL);
        ck_assert_int_eq(fp_upload_get(NULL, "x", NULL, NULL), FILEPROC_ERR_INVALID);
    }
}
END_TEST

START_TEST(open_and_get_survive_every_allocation_failure)
{
    for (int on_disk = 0; on_disk < 2; on_disk++) {
        fault f;

        FAULT_LOOP(&f)
        {
            fp_uploads_options o = FILEPROC_UPLOADS_OPTIONS_INIT;
            char id[FPI_UUID_SIZE];
            fp_uploads *ups = NULL;
            fp_upload *u = NULL;
            fp_error err = { 0 };
            fp_status rc;

            fault_disarm(&f);
            upload_world_open_with(&w, on_disk, NULL, &f.allocator);
            must_create(&w, 1500, id);
            must_chunk(&w, id, 0, 1);
            fp_uploads_free(w.ups);
            w.ups = NULL;
            o.database = w.db;
            o.storage = w.st;
            o.catalog = w.cat;
            fault_arm(&f);
            rc = fp_uploads_open(w.ctx, &o, &ups, &err);
            if (rc < 0)
                ck_assert_ptr_null(ups);
            if (rc == FILEPROC_OK)
                rc = fp_upload_get(ups, id, &u, &err);
            fault_judge(&f, rc, &err);
            ck_assert_int_eq(u != NULL, rc == FILEPROC_OK);
            fp_upload_free(u);
            fp_uploads_free(ups);
            upload_world_close(&w);
        }
    }
}
END_TEST

/* ---- SIGKILL ---- */

enum { KILL_CHUNKS = 12, KILL_SIZE = KILL_CHUNKS * 1000 - 500 };

/* Tells every acknowledged step through the pipe: 'c' + id for a session, a letter per chunk, 'Z' for the end. */
static void work_until_killed(int out)
{
    for (;;) {
        char id[FPI_UUID_SIZE], line[64];

        must_create(&w, KILL_SIZE, id);
        snprintf(line, sizeof(line), "=%s", id);
        if (write(out, line, FPI_UUID_SIZE) < 0)
            _exit(1);
        for (int i = 0; i < KILL_CHUNKS; i++) {
            char letter = (char)('a' + i * 5 % KILL_CHUNKS);

            must_chunk(&w, id, (uint64_t)(letter - 'a'), 5);
            if (write(out, &letter, 1) < 0)
                _exit(1);
        }
        fp_upload_free(must_complete(&w, id));
        if (write(out, "Z", 1) < 0)
            _exit(1);
    }
}

static size_t read_all(int fd, char *text, size_t cap)
{
    size_t size = 0;
    ssize_t n;

    while (size < cap - 1 && (n = read(fd, text + size, cap - 1 - size)) > 0)
        size += (size_t)n;
    text[size] = '\0';
    return size;
}

/* One session's letters: all that was acknowledged is durable, and sending the rest completes it. */
static void ck_survived(const char *at)
{
    char id[FPI_UUID_SIZE], key[64];
    bool ended = false;
    uint64_t acknowledged = 0;
    fp_upload *u;

    memcpy(id, at + 1, FPI_UUID_SIZE - 1);
    id[FPI_UUID_SIZE - 1] = '\0';
    for (at += FPI_UUID_SIZE; *at && *at != '='; at++) {
        ended = ended || *at == 'Z';
        acknowledged += *at != 'Z';
    }
    u = must_get(&w, id);
    ck_assert(u->chunks_uploaded >= acknowledged && u->chunks_uploaded <= acknowledged + 1);
    ck_assert(!ended || strcmp(u->status, "completed") == 0);
    if (strcmp(u->status, "completed") != 0)
        must_all_chunks(&w, id, 5); /* what is there is compared, byte for byte */
    fp_upload_free(u);
    u = must_complete(&w, id);
    upload_object_key(u, key);
    ck_assert(object_is(w.st, key, 5, KILL_SIZE));
    fp_upload_free(u);
}

START_TEST(acknowledged_bytes_survive_sigkill)
{
    static char text[1 << 16];

    for (int round = 0; round < 30; round++) {
        int pipes[2];
        size_t sessions = 0;
        pid_t child;

        ck_assert_int_eq(pipe(pipes), 0);
        upload_world_open(&w, true, NULL);
        fp_uploads_free(w.ups);
        w.ups = NULL;
        fflush(NULL);
        child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            upload_world_restart(&w);
            work_until_killed(pipes[1]);
        }
        close(pipes[1]);
        usleep(5000 + (useconds_t)round * 2300);
        kill(child, SIGKILL);
        ck_assert_int_eq(waitpid(child, NULL, 0), child);
        read_all(pipes[0], text, sizeof(text));
        close(pipes[0]);
        upload_world_restart(&w);
        for (const char *at = strchr(text, '='); at; at = strchr(at + 1, '='))
            if (strlen(at) >= FPI_UUID_SIZE) {
                ck_survived(at);
                sessions++;
            }
        atomic_fetch_add(&w.now_ms, 3600000 * 10);
        ck_assert_int_eq(fp_uploads_reap(w.ups, 0, NULL, NULL), FILEPROC_OK);
        ck_assert_uint_eq(staged_count(w.st), 0);
        ck_assert_uint_eq(object_count(w.st), sessions);
        upload_world_close(&w);
    }
}
END_TEST

RUN_TESTS("uploads", upload_goes_all_the_way, uploads_that_are_not_there_are_not_found,
          sessions_come_and_go_in_memory, status_does_not_wait_for_writers,
          status_is_told_while_chunks_are_stored, wrong_settings_are_refused,
          open_and_get_survive_every_allocation_failure, acknowledged_bytes_survive_sigkill)
