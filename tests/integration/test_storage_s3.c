/* Owns: the s3 driver against a real server: the contract of fileproc/storage.h, and what only this driver does.
 * Must not know: which server it is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "runner.h"
#include "s3_server.h"
#include "storage_contract.h"
#include "storage/storage_s3_private.h"
#include "storage_steps.h"

static storage_contract drivers[] = { { .scheme = "s3",
                                        .fresh = s3_server_fresh,
                                        .gone = s3_server_gone,
                                        .keeps = true,
                                        .server_clock = true,
                                        .flat = true,
                                        .options = s3_server_options } };

#define MIB ((size_t)1 << 20)
#define SLOT (5 * MIB)
#define CREATE FILEPROC_ASSEMBLY_CREATE

/* Parts of any size and order, over slots and across them; the last is short. */
static const struct {
    uint64_t offset;
    size_t size;
} layout[] = {
    { 2 * SLOT, SLOT },               /* one whole slot */
    { 0, 3 * MIB },                   /* the begin of a slot */
    { 3 * SLOT + 100, 2 * SLOT + 7 }, /* the end of one, a whole one, the begin of one */
    { 3 * MIB, 2 * SLOT - 3 * MIB },  /* the end of one, a whole one */
    { 3 * SLOT, 100 },                /* small */
    { 5 * SLOT + 107, SLOT - 107 },   /* the end of one */
    { 6 * SLOT, 12345 },              /* the end of the object */
};
#define LAYOUT (sizeof(layout) / sizeof(*layout))
#define LAYOUT_SIZE (6 * SLOT + 12345)

static fp_assembly *open_for(fp_storage *st, const char *key, uint32_t flags)
{
    fp_assembly *a = must_open(st, "u", flags);
    fp_error err = { 0 };

    if (key)
        ck_status(fp_assembly_set_target(a, key, LAYOUT_SIZE, &err), FILEPROC_OK, &err);
    return a;
}

static void must_layout(storage_world *w, const char *key, bool restarts)
{
    fp_assembly *a = open_for(w->st, key, CREATE);

    for (size_t i = 0; i < LAYOUT; i++) {
        must_part(a, 3, layout[i].offset, layout[i].size);
        if (restarts) {
            fp_assembly_close(a);
            storage_world_restart(w);
            a = must_open(w->st, "u", 0);
            ck_assert_uint_eq(fp_assembly_part_count(a), i + 1);
        }
    }
    fp_assembly_close(a);
}

static void must_publish(storage_world *w, uint32_t flags)
{
    fp_assembly *a = must_open(w->st, "u", 0);
    fp_part *part = NULL;
    fp_error err = { 0 };

    ck_assert_uint_eq(fp_assembly_part_count(a), LAYOUT);
    for (int i = 0; i < 2; i++) {
        ck_status(fp_assembly_publish(a, "files/k", LAYOUT_SIZE, flags, &err), FILEPROC_OK, &err);
        ck_assert(object_is(w->st, "files/k", 3, LAYOUT_SIZE));
        ck_status(fp_part_begin(a, LAYOUT_SIZE, 10, &part, &err), FILEPROC_ERR_CONFLICT, &err);
        fp_assembly_close(a);
        storage_world_restart(w);
        a = must_open(w->st, "u", 0);
    }
    ck_assert_uint_eq(fp_assembly_part_count(a), LAYOUT);
    fp_assembly_close(a);
    ck_assert_uint_eq(staged_count(w->st), 1);
    ck_status(fp_storage_discard(w->st, "u", &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(staged_count(w->st), 0);
    ck_assert(object_is(w->st, "files/k", 3, LAYOUT_SIZE));
    ck_assert_uint_eq(object_count(w->st), 1);
}

/* No upload is left behind at the server. */
static void must_be_clean(fp_storage *st)
{
    fp_error err = { 0 };
    uint64_t count = 99;

    ck_status(fp_storage_reap(st, 0, &count, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(count, 0);
}

START_TEST(parts_become_a_multipart_upload)
{
    const char *key = _i & 1 ? "files/k" : NULL;
    storage_world w;

    storage_world_open(&w, drivers);
    must_layout(&w, key, _i & 2);
    must_publish(&w, _i & 4 ? FILEPROC_STORAGE_EXCLUSIVE : 0);
    must_be_clean(w.st);
    storage_world_close(&w);
}
END_TEST

START_TEST(slots_that_are_objects_can_be_read)
{
    unsigned char *bytes = malloc(LAYOUT_SIZE + 1);
    fp_error err = { 0 };
    fp_assembly *a;
    storage_world w;
    size_t got;

    storage_world_open(&w, drivers);
    must_layout(&w, NULL, false);
    a = must_open(w.st, "u", 0);
    must_parts_be(a, 3);
    ck_status(fp_assembly_read(a, 0, bytes, LAYOUT_SIZE + 1, &got, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(got, LAYOUT_SIZE);
    for (size_t i = 0; i < got; i++)
        if (bytes[i] != content_at(3, i))
            ck_abort_msg("byte %zu", i);
    fp_assembly_close(a);
    free(bytes);
    storage_world_close(&w);
}
END_TEST

START_TEST(parts_of_an_upload_cannot_be_read)
{
    fp_error err = { 0 };
    fp_assembly *a;
    storage_world w;
    size_t got;
    char byte;

    storage_world_open(&w, drivers);
    a = open_for(w.st, "k", CREATE);
    must_part(a, 1, 0, SLOT + 3);
    ck_status(fp_assembly_read(a, 0, &byte, 1, &got, &err), FILEPROC_ERR_NOTSUP, &err);
    ck_status(fp_assembly_read(a, SLOT, &byte, 1, &got, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq((unsigned char)byte, content_at(1, SLOT));
    ck_status(fp_assembly_publish(a, "other", SLOT + 3, 0, &err), FILEPROC_ERR_CONFLICT, &err);
    ck_status(fp_assembly_set_target(a, "other", SLOT + 3, &err), FILEPROC_ERR_CONFLICT, &err);
    ck_status(fp_assembly_set_target(a, "k", SLOT + 3, &err), FILEPROC_OK, &err);
    ck_status(fp_assembly_publish(a, "k", SLOT + 3, 0, &err), FILEPROC_OK, &err);
    ck_assert(object_is(w.st, "k", 1, SLOT + 3));
    fp_assembly_close(a);
    storage_world_close(&w);
}
END_TEST

START_TEST(an_exclusive_upload_leaves_the_old_object_alone)
{
    fp_error err = { 0 };
    fp_assembly *a;
    storage_world w;

    storage_world_open(&w, drivers);
    must_put(w.st, "k", 9, 100);
    a = open_for(w.st, _i ? "k" : NULL, CREATE);
    must_part(a, 1, 0, SLOT);
    must_part(a, 1, SLOT, 10);
    ck_reason(fp_assembly_publish(a, "k", SLOT + 10, FILEPROC_STORAGE_EXCLUSIVE, &err),
              FILEPROC_ERR_EXISTS, "exists", &err);
    ck_assert(object_is(w.st, "k", 9, 100));
    must_part(a, 1, SLOT + 10, 10); /* still open for more */
    ck_status(fp_assembly_publish(a, "k", SLOT + 20, 0, &err), FILEPROC_OK, &err);
    ck_assert(object_is(w.st, "k", 1, SLOT + 20));
    fp_assembly_close(a);
    storage_world_close(&w);
}
END_TEST

START_TEST(small_pieces_alone_become_a_large_object)
{
    const size_t piece = 700001, count = 17;
    fp_error err = { 0 };
    fp_assembly *a;
    storage_world w;

    storage_world_open(&w, drivers);
    a = must_open(w.st, "u", CREATE);
    for (size_t i = 0; i < count; i++)
        must_part(a, 5, i * piece, piece);
    must_parts_be(a, 5);
    ck_status(fp_assembly_publish(a, "a/b", count * piece, 0, &err), FILEPROC_OK, &err);
    ck_assert(object_is(w.st, "a/b", 5, count * piece));
    fp_assembly_close(a);
    ck_status(fp_storage_discard(w.st, "u", &err), FILEPROC_OK, &err);
    must_be_clean(w.st);
    storage_world_close(&w);
}
END_TEST

START_TEST(an_upload_that_was_dropped_leaves_nothing)
{
    fp_part *part = NULL;
    fp_error err = { 0 };
    char *bytes = calloc(1, SLOT);
    fp_assembly *a;
    storage_world w;

    storage_world_open(&w, drivers);
    a = open_for(w.st, _i ? "k" : NULL, CREATE);
    ck_status(fp_part_begin(a, 0, 2 * SLOT, &part, &err), FILEPROC_OK, &err);
    ck_status(fp_part_write(part, bytes, SLOT, &err), FILEPROC_OK,
              &err); /* it is at the server now */
    fp_part_free(part);
    fp_assembly_close(a);
    storage_world_restart(&w);
    a = must_open(w.st, "u", 0);
    ck_assert_uint_eq(fp_assembly_part_count(a), 0);
    must_part(a, 4, 0, SLOT);
    must_part(a, 4, SLOT, 1);
    ck_status(fp_assembly_publish(a, "k", SLOT + 1, 0, &err), FILEPROC_OK, &err);
    ck_assert(object_is(w.st, "k", 4, SLOT + 1));
    fp_assembly_close(a);
    ck_status(fp_storage_discard(w.st, "u", &err), FILEPROC_OK, &err);
    a = open_for(w.st, _i ? "k2" : NULL, CREATE | FILEPROC_ASSEMBLY_TRANSIENT);
    must_part(a, 4, 0, 2 * SLOT + 9);
    fp_assembly_close(a);
    ck_assert_uint_eq(staged_count(w.st), 0);
    ck_assert_uint_eq(object_count(w.st), 1);
    must_be_clean(w.st);
    free(bytes);
    storage_world_close(&w);
}
END_TEST

START_TEST(the_reaper_spares_what_is_known)
{
    fp_error err = { 0 };
    uint64_t count = 0;
    fp_assembly *a;
    storage_world w;
    char upload[FPI_S3_UPLOAD_ID_SIZE];
    fpi_s3_store *s = NULL;

    storage_world_open(&w, drivers);
    a = open_for(w.st, "k", CREATE);
    must_part(a, 1, 0, SLOT);
    ck_status(fpi_storage_s3_driver.open(w.ctx, w.uri, s3_server_options(), (void **)&s, &err),
              FILEPROC_OK, &err);
    w.now_ms = (int64_t)time(NULL) * 1000;
    ck_status(fpi_s3_multipart_create(s, "orphan", "x", upload, &err), FILEPROC_OK, &err);
    ck_status(fpi_s3_reap(s, 3600000, &count, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(count, 0); /* too young */
    ck_status(fpi_s3_reap(s, -5000, &count, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(count, 1);
    must_part(a, 1, SLOT, 5);
    ck_status(fp_assembly_publish(a, "k", SLOT + 5, 0, &err), FILEPROC_OK, &err);
    fp_assembly_close(a);
    fpi_storage_s3_driver.close(s);
    storage_world_close(&w);
}
END_TEST

START_TEST(wrong_keys_are_refused_and_not_shown)
{
    fp_storage_options o = *s3_server_options();
    fp_storage_info info = FILEPROC_STORAGE_INFO_INIT;
    fp_storage *st = NULL;
    fp_error err = { 0 };
    storage_world w;
    size_t got;
    char byte;

    storage_world_open(&w, drivers);
    o.secret_key = "quite-another-secret";
    ck_status(fp_storage_open(w.ctx, w.uri, &o, &st, &err), FILEPROC_OK, &err);
    for (int i = 0; i < 2; i++) {
        fp_status rc = i ? fp_storage_stat(st, "k", &info, &err)
                         : fp_storage_read(st, "k", 0, &byte, 1, &got, &err);

        ck_status(rc, FILEPROC_ERR_AUTH, &err);
        ck_assert_str_eq(err.domain, "http");
        ck_assert_int_eq(err.cause, 403);
        ck_assert_ptr_null(strstr(err.message, "secret"));
        ck_assert_ptr_null(strstr(err.message, o.access_key));
    }
    fp_storage_free(st);
    storage_world_close(&w);
}
END_TEST

/* Plain HTTP with the client of the library, as somebody without keys would do it. */
static int plain_http(storage_world *w, const char *method, const char *url, const char *body)
{
    const fpi_http_options o = { 5000, 5000, 1 };
    const fpi_http_piece piece = { body, body ? strlen(body) : 0 };
    const fpi_http_request rq = { .method = method,
                                  .url = url,
                                  .what = "test",
                                  .pieces = &piece,
                                  .piece_count = 1,
                                  .body_size = piece.size,
                                  .has_body = body != NULL };
    fpi_http_answer answer;
    fpi_http *http = NULL;
    fp_error err = { 0 };
    int status;

    ck_status(fpi_http_new(w->ctx, &o, &http, &err), FILEPROC_OK, &err);
    ck_status(fpi_http_send(http, &rq, &answer, &err), FILEPROC_OK, &err);
    status = answer.status;
    fpi_http_answer_dispose(&answer);
    fpi_http_free(http);
    return status;
}

START_TEST(signed_addresses_need_no_keys)
{
    fp_buf url = FILEPROC_BUF_INIT;
    fp_error err = { 0 };
    storage_world w;
    char byte;
    size_t got;

    storage_world_open(&w, drivers);
    w.now_ms = (int64_t)time(NULL) * 1000;
    ck_status(fp_storage_presign(w.st, "a/b", FILEPROC_PRESIGN_PUT, 60, &url, &err), FILEPROC_OK,
              &err);
    ck_assert_int_eq(plain_http(&w, "PUT", url.data, "hello"), 200);
    ck_assert_int_eq(plain_http(&w, "GET", url.data, NULL), 403); /* for another method */
    fp_buf_dispose(&url);
    ck_status(fp_storage_read(w.st, "a/b", 4, &byte, 1, &got, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(byte, 'o');
    ck_status(fp_storage_presign(w.st, "a/b", FILEPROC_PRESIGN_GET, 60, &url, &err), FILEPROC_OK,
              &err);
    ck_assert_int_eq(plain_http(&w, "GET", url.data, NULL), 200);
    url.data[url.size - 1] ^= 1;
    ck_assert_int_eq(plain_http(&w, "GET", url.data, NULL), 403);
    fp_buf_dispose(&url);
    w.now_ms -= 120000; /* signed two minutes ago, for one */
    ck_status(fp_storage_presign(w.st, "a/b", FILEPROC_PRESIGN_GET, 60, &url, &err), FILEPROC_OK,
              &err);
    ck_assert_int_eq(plain_http(&w, "GET", url.data, NULL), 403);
    fp_buf_dispose(&url);
    storage_world_close(&w);
}
END_TEST

START_TEST(a_part_can_have_a_signed_address)
{
    fp_buf url = FILEPROC_BUF_INIT;
    fp_error err = { 0 };
    fp_assembly *a;
    storage_world w;

    storage_world_open(&w, drivers);
    w.now_ms = (int64_t)time(NULL) * 1000;
    a = must_open(w.st, "u", CREATE);
    ck_status(fp_assembly_presign(a, 0, 60, &url, &err), FILEPROC_ERR_CONFLICT, &err);
    ck_status(fp_assembly_set_target(a, "k", SLOT + 3, &err), FILEPROC_OK, &err);
    ck_status(fp_assembly_presign(a, 7, 60, &url, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_assembly_presign(a, SLOT, 60, &url, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(plain_http(&w, "PUT", url.data, "hello"), 200);
    fp_buf_dispose(&url);
    must_part(a, 2, 0, SLOT); /* what was sent there without a commit counts for nothing */
    must_part(a, 2, SLOT, 3);
    ck_status(fp_assembly_publish(a, "k", SLOT + 3, 0, &err), FILEPROC_OK, &err);
    ck_assert(object_is(w.st, "k", 2, SLOT + 3));
    fp_assembly_close(a);
    storage_world_close(&w);
}
END_TEST

/* Sends bytes of content(seed) to the address of a part, as a browser would; answers the ETag. */
static void keep_etag(void *user_data, const char *name, size_t name_size, const char *value,
                      size_t value_size)
{
    if (name_size == 4 && strncasecmp(name, "etag", 4) == 0)
        snprintf(user_data, FPI_S3_ETAG_SIZE, "%.*s", (int)value_size, value);
}

static void send_directly(storage_world *w, fp_assembly *a, uint64_t offset, size_t size,
                          char etag[FPI_S3_ETAG_SIZE])
{
    const fpi_http_options o = { 5000, 5000, 1 };
    unsigned char *bytes = malloc(size);
    const fpi_http_piece piece = { bytes, size };
    fp_buf url = FILEPROC_BUF_INIT;
    fpi_http_answer answer;
    fpi_http *http = NULL;
    fp_error err = { 0 };

    content_fill(1, offset, bytes, size);
    ck_status(fp_assembly_presign(a, offset, 60, &url, &err), FILEPROC_OK, &err);
    ck_status(fpi_http_new(w->ctx, &o, &http, &err), FILEPROC_OK, &err);
    const fpi_http_request rq = { .method = "PUT",
                                  .url = url.data,
                                  .what = "test",
                                  .pieces = &piece,
                                  .piece_count = 1,
                                  .body_size = size,
                                  .has_body = true,
                                  .on_header = keep_etag,
                                  .user_data = etag };
    ck_status(fpi_http_send(http, &rq, &answer, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(answer.status, 200);
    fpi_http_answer_dispose(&answer);
    fpi_http_free(http);
    fp_buf_dispose(&url);
    free(bytes);
}

static fp_status adopt(fp_assembly *a, uint64_t offset, uint64_t length,
                       char etags[][FPI_S3_ETAG_SIZE], size_t count, fp_error *err)
{
    const char *list[4] = { etags[0], etags[1], etags[2], etags[3] };
    fp_adoption what = FILEPROC_ADOPTION_INIT;

    what.offset = offset;
    what.length = length;
    what.etags = list;
    what.etag_count = count;
    what.note = "note";
    what.note_size = 4;
    return fp_assembly_adopt(a, &what, err);
}

static fp_status count_written(void *user_data, uint64_t offset, uint64_t size, const char *etag,
                               fp_error *err)
{
    size_t *count = user_data;

    (void)err;
    ck_assert_uint_eq(offset, *count * SLOT);
    ck_assert_uint_eq(size, *count < 3 ? SLOT : 1000);
    ck_assert_uint_gt(strlen(etag), 10);
    ++*count;
    return FILEPROC_OK;
}

static void must_be_adopted(const fp_assembly *a, size_t index, uint64_t offset, uint64_t length)
{
    fp_part_info info = FILEPROC_PART_INFO_INIT;
    fp_error err = { 0 };

    ck_status(fp_assembly_part_at(a, index, &info, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(info.offset, offset);
    ck_assert_uint_eq(info.length, length);
    ck_assert_uint_eq(info.flags, FILEPROC_PART_ADOPTED);
    ck_assert_uint_eq(info.note_size, 4);
}

START_TEST(parts_that_others_sent_are_adopted)
{
    char etags[5][FPI_S3_ETAG_SIZE] = { "" };
    fp_part *part = NULL;
    fp_error err = { 0 };
    size_t count = 0;
    fp_assembly *a;
    storage_world w;

    storage_world_open(&w, drivers);
    w.now_ms = (int64_t)time(NULL) * 1000;
    a = must_open(w.st, "u", CREATE);
    ck_status(fp_assembly_written(a, count_written, &count, &err), FILEPROC_OK, &err);
    ck_status(adopt(a, 0, SLOT, etags, 1, &err), FILEPROC_ERR_CONFLICT, &err);
    ck_status(fp_assembly_set_target(a, "k", 3 * SLOT + 1000, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(fp_assembly_part_size(a), SLOT);
    for (size_t i = 0; i < 4; i++)
        send_directly(&w, a, i * SLOT, i < 3 ? SLOT : 1000, etags[i]);
    ck_status(fp_assembly_written(a, count_written, &count, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(count, 4);
    ck_assert_uint_eq(fp_assembly_part_count(a), 0);
    ck_status(adopt(a, 7, SLOT, etags, 1, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(adopt(a, 0, SLOT, etags, 2, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(adopt(a, 0, SLOT - 1, etags, 1, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(adopt(a, 0, SLOT, etags + 1, 1, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(adopt(a, 4 * SLOT, 1000, etags, 1, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(adopt(a, 2 * SLOT, SLOT + 1000, etags + 2, 2, &err), FILEPROC_OK, &err);
    ck_status(adopt(a, 2 * SLOT, SLOT, etags + 2, 1, &err), FILEPROC_ERR_CONFLICT, &err);
    must_part(a, 1, 0, SLOT); /* both ways side by side */
    fp_assembly_close(a);
    storage_world_restart(&w);
    a = must_open(w.st, "u", 0);
    ck_status(fp_assembly_set_target(a, "k", 3 * SLOT + 1000, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(fp_assembly_part_count(a), 2);
    must_be_adopted(a, 0, 2 * SLOT, SLOT + 1000);
    ck_status(fp_part_begin(a, 2 * SLOT, 10, &part, &err), FILEPROC_ERR_CONFLICT, &err);
    ck_status(adopt(a, SLOT, SLOT, etags + 1, 1, &err), FILEPROC_OK, &err);
    must_be_adopted(a, 2, SLOT, SLOT);
    ck_status(fp_assembly_publish(a, "k", 3 * SLOT + 1000, 0, &err), FILEPROC_OK, &err);
    ck_assert(object_is(w.st, "k", 1, 3 * SLOT + 1000));
    ck_status(adopt(a, 0, SLOT, etags, 1, &err), FILEPROC_ERR_CONFLICT, &err);
    fp_assembly_close(a);
    storage_world_close(&w);
}
END_TEST

START_TEST(a_short_part_that_was_adopted_must_be_the_end)
{
    char etags[5][FPI_S3_ETAG_SIZE] = { "" };
    fp_error err = { 0 };
    fp_assembly *a;
    storage_world w;

    storage_world_open(&w, drivers);
    w.now_ms = (int64_t)time(NULL) * 1000;
    a = open_for(w.st, "k", CREATE);
    send_directly(&w, a, 0, 1000, etags[0]);
    ck_status(adopt(a, 0, 1000, etags, 1, &err), FILEPROC_OK, &err);
    must_part(a, 1, 1000, 10);
    ck_status(fp_assembly_publish(a, "k", 1010, 0, &err), FILEPROC_ERR_CONFLICT, &err);
    fp_assembly_close(a);
    storage_world_close(&w);
}
END_TEST

START_TEST(stores_below_a_prefix_see_only_their_own)
{
    char uri[256], endpoint[160];
    fp_storage *st = NULL;
    fp_error err = { 0 };
    fp_assembly *a;
    storage_world w;

    storage_world_open(&w, drivers);
    snprintf(endpoint, sizeof(endpoint), "%s", w.uri);
    *strchr(endpoint, '?') = '\0';
    snprintf(uri, sizeof(uri), "%s/below/here/?%s", endpoint, strchr(w.uri, '?') + 1);
    ck_status(fp_storage_open(w.ctx, uri, s3_server_options(), &st, &err), FILEPROC_OK, &err);
    must_put(w.st, "k", 1, 10);
    must_put(st, "k", 2, 20);
    ck_assert(object_is(st, "k", 2, 20));
    ck_assert_uint_eq(object_count(st), 1);
    ck_assert(object_is(w.st, "below/here/k", 2, 20));
    a = must_open(st, "u", CREATE);
    must_part(a, 1, 0, 3);
    fp_assembly_close(a);
    ck_assert_uint_eq(staged_count(st), 1);
    ck_assert_uint_eq(staged_count(w.st), 0);
    fp_storage_free(st);
    storage_world_close(&w);
}
END_TEST

typedef struct uploader {
    fp_assembly *a;
    unsigned number;
} uploader;

static void *upload_slots(void *arg)
{
    const uploader *me = arg;

    for (unsigned i = me->number; i < 8; i += 4)
        must_part(me->a, 6, i * SLOT, SLOT);
    return NULL;
}

START_TEST(whole_slots_go_out_side_by_side)
{
    uploader uploaders[4];
    fp_error err = { 0 };
    fp_assembly *a;
    storage_world w;

    storage_world_open(&w, drivers);
    a = open_for(w.st, _i ? "k" : NULL, CREATE);
    for (unsigned i = 0; i < 4; i++)
        uploaders[i] = (uploader){ a, i };
    run_threads(4, upload_slots, uploaders, sizeof(*uploaders));
    ck_status(fp_assembly_publish(a, "k", 8 * SLOT, 0, &err), FILEPROC_OK, &err);
    ck_assert(object_is(w.st, "k", 6, 8 * SLOT));
    fp_assembly_close(a);
    storage_world_close(&w);
}
END_TEST

START_TEST(bodies_need_not_be_hashed)
{
    fp_storage *st = NULL;
    fp_error err = { 0 };
    fp_assembly *a;
    storage_world w;
    char uri[160];

    storage_world_open(&w, drivers);
    snprintf(uri, sizeof(uri), "%s&payload=unsigned", w.uri);
    ck_status(fp_storage_open(w.ctx, uri, s3_server_options(), &st, &err), FILEPROC_OK, &err);
    a = open_for(st, _i ? "k" : NULL, CREATE);
    must_part(a, 8, 0, SLOT + 5);
    ck_status(fp_assembly_publish(a, "k", SLOT + 5, 0, &err), FILEPROC_OK, &err);
    ck_assert(object_is(st, "k", 8, SLOT + 5));
    fp_assembly_close(a);
    fp_storage_free(st);
    storage_world_close(&w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("storage_s3");
    TCase *tcase = tcase_create("s3");

    s3_server_need();
    drivers[0].eventual = s3_server_is("SWIFT");
    storage_contract_add(suite, drivers, 1);
    assembly_contract_add(suite, drivers, 1);
    tcase_set_timeout(tcase, 100);
    tcase_add_loop_test(tcase, parts_become_a_multipart_upload, 0, 8);
    tcase_add_test(tcase, slots_that_are_objects_can_be_read);
    tcase_add_test(tcase, parts_of_an_upload_cannot_be_read);
    tcase_add_loop_test(tcase, an_exclusive_upload_leaves_the_old_object_alone, 0, 2);
    tcase_add_test(tcase, small_pieces_alone_become_a_large_object);
    tcase_add_loop_test(tcase, an_upload_that_was_dropped_leaves_nothing, 0, 2);
    tcase_add_test(tcase, the_reaper_spares_what_is_known);
    tcase_add_test(tcase, wrong_keys_are_refused_and_not_shown);
    tcase_add_test(tcase, signed_addresses_need_no_keys);
    tcase_add_test(tcase, a_part_can_have_a_signed_address);
    tcase_add_test(tcase, parts_that_others_sent_are_adopted);
    tcase_add_test(tcase, a_short_part_that_was_adopted_must_be_the_end);
    tcase_add_test(tcase, stores_below_a_prefix_see_only_their_own);
    tcase_add_loop_test(tcase, whole_slots_go_out_side_by_side, 0, 2);
    tcase_add_loop_test(tcase, bodies_need_not_be_hashed, 0, 2);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
