/* Owns: the promises of the upload engine's handle: its settings, looking at uploads, sessions that come and go in memory.
 * Must not know: chunks (test_chunk.c), completion (test_upload_complete.c). */
#include <stdio.h>
#include <string.h>

#include "fault.h"
#include "runner.h"
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

RUN_TESTS("uploads", upload_goes_all_the_way)
