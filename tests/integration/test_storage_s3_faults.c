/* Owns: the s3 driver against a server that goes wrong, and over connections that are cut; its allocation failures.
 * Must not know: signatures; the fake server doesn't check them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "child.h"
#include "fault.h"
#include "runner.h"
#include "storage/storage_s3_private.h"
#include "storage_contract.h"
#include "storage_steps.h"

#define SLOT ((size_t)5 << 20)
#define CREATE FILEPROC_ASSEMBLY_CREATE

static child server;
static char endpoint[32];

static const fp_storage_options *options(void)
{
    static fp_storage_options o = FILEPROC_STORAGE_OPTIONS_INIT;

    o.access_key = "access-key";
    o.secret_key = "secret-key-of-the-test";
    return &o;
}

static void fresh_with(char uri[128], const char *part_min)
{
    char port[16];

    child_start(&server, SOURCE_ROOT "/tests/support/fake_s3.py", part_min);
    child_line(&server, port, sizeof(port));
    snprintf(endpoint, sizeof(endpoint), "127.0.0.1:%s", port);
    snprintf(uri, 128, "s3://bucket?endpoint=%s&secure=0", endpoint);
}

static void fresh(char uri[128])
{
    fresh_with(uri, NULL);
}

static void gone(const char *uri)
{
    (void)uri;
    child_end(&server);
}

static const storage_contract drivers[] = { { .scheme = "s3",
                                              .fresh = fresh,
                                              .gone = gone,
                                              .keeps = true,
                                              .server_clock = true,
                                              .flat = true,
                                              .options = options } };

typedef struct kept {
    char *out;
    size_t size, room;
} kept;

static fp_status keep(void *user_data, int status, const void *data, size_t size, fp_error *err)
{
    kept *k = user_data;

    (void)status;
    (void)err;
    if (size >= k->room - k->size)
        size = k->room - k->size - 1;
    memcpy(k->out + k->size, data, size);
    k->size += size;
    k->out[k->size] = '\0';
    return FILEPROC_OK;
}

static fp_status plain_http(const char *method, const char *path, const char *body, char *out,
                            size_t out_size)
{
    const fpi_http_options o = { 5000, 5000, 1 };
    const fpi_http_piece piece = { body, body ? strlen(body) : 0 };
    kept k = { out, 0, out_size };
    char url[128];
    const fpi_http_request rq = { .method = method,
                                  .url = url,
                                  .what = "test",
                                  .pieces = &piece,
                                  .piece_count = 1,
                                  .body_size = piece.size,
                                  .has_body = body != NULL,
                                  .on_body = out ? keep : NULL,
                                  .user_data = &k };
    fpi_http_answer answer;
    fpi_http *http = NULL;
    fp_context *ctx = NULL;
    fp_status rc;

    snprintf(url, sizeof(url), "http://%s%s", endpoint, path);
    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    ck_assert_int_eq(fpi_http_new(ctx, &o, &http, NULL), FILEPROC_OK);
    rc = fpi_http_send(http, &rq, &answer, NULL);
    fpi_http_answer_dispose(&answer);
    fpi_http_free(http);
    fp_context_free(ctx);
    return rc;
}

static void inject(const char *json)
{
    ck_assert_int_eq(plain_http("PUT", "/_fault", json, NULL, 0), FILEPROC_OK);
}

/* How many requests so far have this in them. */
static unsigned requests_with(const char *text)
{
    char *log = calloc(1, 1 << 20);
    unsigned count = 0;

    ck_assert_int_eq(plain_http("GET", "/_log", NULL, log, 1 << 20), FILEPROC_OK);
    for (const char *at = log; (at = strstr(at, text)) != NULL; at++)
        count++;
    free(log);
    return count;
}

static void must_read(storage_world *w)
{
    must_put(w->st, "k", 1, 100000);
    ck_assert(object_is(w->st, "k", 1, 100000));
}

START_TEST(what_fails_for_a_while_is_repeated)
{
    static const char *const faults[] = {
        "{\"kind\":\"status\",\"status\":500,\"code\":\"InternalError\",\"count\":2}",
        "{\"kind\":\"status\",\"status\":503,\"code\":\"SlowDown\",\"count\":3}",
        "{\"kind\":\"status\",\"status\":429,\"code\":\"\"}",
        "{\"kind\":\"refuse\",\"count\":2}",
        "{\"kind\":\"drop\"}",
        "{\"kind\":\"late\",\"status\":500}",
        "{\"kind\":\"cut\",\"method\":\"GET\",\"match\":\"/k\"}",
        "{\"kind\":\"refuse\",\"method\":\"GET\",\"match\":\"/k\",\"count\":3}",
        "{\"kind\":\"status\",\"status\":400,\"code\":\"XAmzContentSHA256Mismatch\"}",
    };

    for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++) {
        storage_world w;

        storage_world_open(&w, drivers);
        inject(faults[i]);
        must_read(&w);
        storage_world_close(&w);
    }
}
END_TEST

START_TEST(trying_ends_after_the_last_attempt)
{
    fp_error err = { 0 };
    storage_world w;

    storage_world_open(&w, drivers);
    inject("{\"kind\":\"status\",\"status\":503,\"code\":\"SlowDown\",\"count\":100}");
    ck_status(try_put(w.st, "k", 1, 10, 0, &err), FILEPROC_ERR_BUSY, &err);
    ck_assert_str_eq(err.domain, "http");
    ck_assert_int_eq(err.cause, 503);
    ck_assert_uint_ne(err.flags & FILEPROC_ERROR_RETRYABLE, 0);
    ck_assert_uint_eq(requests_with("PUT /bucket/k"), 4);
    storage_world_close(&w);
}
END_TEST

START_TEST(what_can_never_succeed_is_not_repeated)
{
    static const struct {
        const char *fault;
        fp_status rc;
    } cases[] = {
        { "{\"kind\":\"status\",\"status\":403,\"code\":\"SignatureDoesNotMatch\",\"count\":9}",
          FILEPROC_ERR_AUTH },
        { "{\"kind\":\"status\",\"status\":404,\"code\":\"NoSuchBucket\",\"count\":9}",
          FILEPROC_ERR_IO },
        { "{\"kind\":\"status\",\"status\":507,\"code\":\"XMinioStorageFull\",\"count\":9}",
          FILEPROC_ERR_QUOTA },
        { "{\"kind\":\"status\",\"status\":301,\"code\":\"PermanentRedirect\",\"count\":9,"
          "\"headers\":[[\"Location\",\"http://127.0.0.1:9/other\"]]}",
          FILEPROC_ERR_PROTOCOL },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        fp_error err = { 0 };
        storage_world w;

        storage_world_open(&w, drivers);
        w.now_ms = (int64_t)time(NULL) * 1000; /* else a 403 is taken for a wrong clock */
        inject(cases[i].fault);
        ck_status(try_put(w.st, "k", 1, 10, 0, &err), cases[i].rc, &err);
        ck_assert_uint_eq(requests_with("PUT /bucket/k"), 1);
        ck_assert_ptr_null(strstr(err.message, "secret"));
        ck_assert_ptr_null(strstr(err.message, "access-key"));
        storage_world_close(&w);
    }
}
END_TEST

START_TEST(the_server_s_wish_to_wait_is_granted)
{
    struct timespec begin, end;
    storage_world w;

    storage_world_open(&w, drivers);
    inject(
        "{\"kind\":\"status\",\"status\":503,\"code\":\"SlowDown\",\"headers\":[[\"Retry-After\",\"1\"]]}");
    clock_gettime(CLOCK_MONOTONIC, &begin);
    must_put(w.st, "k", 1, 10);
    clock_gettime(CLOCK_MONOTONIC, &end);
    ck_assert_int_ge((end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000,
                     1000);
    storage_world_close(&w);
}
END_TEST

START_TEST(an_exclusive_put_knows_its_own_lost_answer)
{
    fp_error err = { 0 };
    storage_world w;

    storage_world_open(&w, drivers);
    inject("{\"kind\":\"drop\",\"match\":\"/bucket/k\"}");
    ck_status(try_put(w.st, "k", 1, 10, FILEPROC_STORAGE_EXCLUSIVE, &err), FILEPROC_OK, &err);
    ck_assert(object_is(w.st, "k", 1, 10));
    ck_status(try_put(w.st, "k", 2, 10, FILEPROC_STORAGE_EXCLUSIVE, &err), FILEPROC_ERR_EXISTS,
              &err);
    storage_world_close(&w);
}
END_TEST

START_TEST(servers_without_conditions_are_recognised)
{
    static const char *const faults[] = {
        "{\"kind\":\"ignore\",\"header\":\"If-None-Match\",\"count\":1000}",
        "{\"kind\":\"status\",\"status\":501,\"code\":\"NotImplemented\",\"match\":\"~probe\"}",
    };

    for (size_t i = 0; i < 2; i++) {
        fp_error err = { 0 };
        storage_world w;

        storage_world_open(&w, drivers);
        if (i == 1) /* only the second try of the probe carries the condition */
            inject("{\"kind\":\"ignore\",\"header\":\"x\",\"match\":\"~probe\"}");
        inject(faults[i]);
        ck_status(try_put(w.st, "k", 1, 10, FILEPROC_STORAGE_EXCLUSIVE, &err), FILEPROC_OK, &err);
        ck_reason(try_put(w.st, "k", 2, 10, FILEPROC_STORAGE_EXCLUSIVE, &err), FILEPROC_ERR_EXISTS,
                  "exists", &err);
        ck_assert(object_is(w.st, "k", 1, 10));
        storage_world_close(&w);
    }
}
END_TEST

/* Two parts for a key that is known, so that they are parts of an upload. */
static fp_assembly *two_parts(storage_world *w)
{
    fp_assembly *a = must_open(w->st, "u", CREATE);
    fp_error err = { 0 };

    ck_status(fp_assembly_set_target(a, "k", SLOT + 1000, &err), FILEPROC_OK, &err);
    must_part(a, 1, 0, SLOT);
    must_part(a, 1, SLOT, 1000);
    return a;
}

START_TEST(publication_survives_every_kind_of_answer)
{
    static const char *const faults[] = {
        "{\"kind\":\"inside\",\"method\":\"POST\",\"match\":\"k?uploadId\",\"code\":\"InternalError\"}",
        "{\"kind\":\"inside\",\"method\":\"POST\",\"match\":\"k?uploadId\",\"code\":\"SlowDown\",\"count\":2}",
        "{\"kind\":\"drop\",\"method\":\"POST\",\"match\":\"k?uploadId\"}",
        "{\"kind\":\"late\",\"status\":503,\"method\":\"POST\",\"match\":\"k?uploadId\"}",
        "{\"kind\":\"cut\",\"method\":\"POST\",\"match\":\"k?uploadId\"}",
        "{\"kind\":\"blanks\",\"method\":\"POST\",\"match\":\"k?uploadId\"}",
        "{\"kind\":\"xml\",\"method\":\"POST\",\"match\":\"k?uploadId\",\"body\":\"<Complete\"}",
        "{\"kind\":\"status\",\"status\":500,\"code\":\"\",\"method\":\"POST\",\"match\":\"k?uploads\"}",
        "{\"kind\":\"drop\",\"method\":\"POST\",\"match\":\"k?uploads\"}",
        "{\"kind\":\"drop\",\"match\":\"partNumber\",\"count\":2}",
        "{\"kind\":\"drop\",\"match\":\"u%21u\"}",
        "{\"kind\":\"drop\",\"match\":\"u%21r\",\"count\":2}",
        "{\"kind\":\"drop\",\"match\":\"u%21z\"}",
    };

    for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++) {
        for (uint32_t flags = 0; flags < 2; flags++) {
            fp_error err = { 0 };
            fp_assembly *a;
            storage_world w;
            uint64_t count;

            storage_world_open(&w, drivers);
            inject(faults[i]);
            a = two_parts(&w);
            ck_status(fp_assembly_publish(a, "k", SLOT + 1000, flags, &err), FILEPROC_OK, &err);
            fp_assembly_close(a);
            ck_assert(object_is(w.st, "k", 1, SLOT + 1000));
            ck_status(fp_storage_discard(w.st, "u", &err), FILEPROC_OK, &err);
            ck_assert_uint_eq(staged_count(w.st), 0);
            w.now_ms = (int64_t)time(NULL) * 1000 + 100000;
            ck_status(fp_storage_reap(w.st, 0, &count, &err), FILEPROC_OK, &err);
            storage_world_close(&w);
        }
    }
}
END_TEST

START_TEST(slots_that_fail_on_their_way_go_out_again)
{
    static const char *const faults[] = {
        "{\"kind\":\"status\",\"status\":503,\"code\":\"SlowDown\",\"match\":\"partNumber\",\"count\":3}",
        "{\"kind\":\"status\",\"status\":500,\"code\":\"InternalError\",\"match\":\"partNumber\",\"count\":2}",
        "{\"kind\":\"status\",\"status\":400,\"code\":\"RequestTimeout\",\"match\":\"partNumber\"}",
        "{\"kind\":\"late\",\"status\":500,\"match\":\"partNumber\"}",
        "{\"kind\":\"drop\",\"match\":\"partNumber\",\"count\":2}",
        "{\"kind\":\"refuse\",\"match\":\"partNumber\",\"count\":3}",
        "{\"kind\":\"refuse\",\"match\":\"%21s\",\"count\":3}",
        "{\"kind\":\"drop\",\"match\":\"%21s\",\"count\":2}",
    };

    for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++) {
        char uri[160];
        fp_storage *st = NULL;
        fp_error err = { 0 };
        fp_assembly *a;
        storage_world w;

        storage_world_open(&w, drivers);
        snprintf(uri, sizeof(uri), "%s&payload=%s", w.uri, _i ? "unsigned" : "signed");
        ck_status(fp_storage_open(w.ctx, uri, options(), &st, &err), FILEPROC_OK, &err);
        inject(faults[i]);
        a = must_open(st, "u", CREATE);
        if (!strstr(faults[i], "%21s"))
            ck_status(fp_assembly_set_target(a, "k", 2 * SLOT + 9, &err), FILEPROC_OK, &err);
        must_part(a, 1, 0, 2 * SLOT);
        must_part(a, 1, 2 * SLOT, 9);
        fp_assembly_close(a);
        a = must_open(st, "u", 0);
        ck_assert_uint_eq(fp_assembly_part_count(a), 2);
        ck_status(fp_assembly_publish(a, "k", 2 * SLOT + 9, 0, &err), FILEPROC_OK, &err);
        ck_assert(object_is(st, "k", 1, 2 * SLOT + 9));
        fp_assembly_close(a);
        fp_storage_free(st);
        storage_world_close(&w);
    }
}
END_TEST

START_TEST(a_part_that_another_wrote_over_is_noticed)
{
    fp_error err = { 0 };
    fp_assembly *a;
    storage_world w;

    storage_world_open(&w, drivers);
    inject("{\"kind\":\"etag\",\"match\":\"partNumber=1\"}");
    a = must_open(w.st, "u", CREATE);
    ck_status(fp_assembly_set_target(a, "k", SLOT + 10, &err), FILEPROC_OK, &err);
    must_part(a, 1, 0, SLOT); /* the answer tells another ETag than the server keeps */
    must_part(a, 1, SLOT, 10);
    ck_status(fp_assembly_publish(a, "k", SLOT + 10, 0, &err), FILEPROC_ERR_CORRUPT, &err);
    ck_assert(!object_exists(w.st, "k"));
    fp_assembly_close(a);
    ck_status(fp_assembly_open(w.st, "u", 0, &a, &err), FILEPROC_ERR_CORRUPT, &err);
    storage_world_close(&w);
}
END_TEST

/* Stores what is under a name once more, under another number. */
static void repeat_record(fpi_s3_store *s, const char *id, const fp_part_info *info)
{
    fpi_s3_record r = { .info = *info, .seq = 77 };
    const fpi_http_piece body = { "0123456789", 10 };
    char tail[FPI_S3_RECORD_SIZE], *name = NULL;
    fp_error err = { 0 };

    fpi_s3_record_format(&r, tail);
    ck_status(fpi_s3_staged_name(s, id, 'r', tail, &name, &err), FILEPROC_OK, &err);
    ck_status(fpi_s3_put(s, name, &body, 1, NULL, false, NULL, &err), FILEPROC_OK, &err);
    fpi_free(&s->ctx->a, name);
}

START_TEST(the_same_record_twice_counts_once)
{
    fp_part_info info = FILEPROC_PART_INFO_INIT;
    fpi_s3_store *s = NULL;
    fp_error err = { 0 };
    fp_assembly *a;
    storage_world w;

    storage_world_open(&w, drivers);
    ck_status(fpi_storage_s3_driver.open(w.ctx, w.uri, options(), (void **)&s, &err), FILEPROC_OK,
              &err);
    a = must_open(w.st, "u", CREATE);
    must_part(a, 1, 10, 10);
    must_part(a, 1, 0, 10);
    ck_status(fp_assembly_part_at(a, 0, &info, &err), FILEPROC_OK, &err);
    fp_assembly_close(a);
    repeat_record(s, "u", &info);
    a = must_open(w.st, "u", 0);
    ck_assert_uint_eq(fp_assembly_part_count(a), 2);
    must_parts_be(a, 1);
    fp_assembly_close(a);
    info.crc32c ^= 1; /* other bytes in the same place */
    info.length--;
    repeat_record(s, "u", &info);
    ck_status(fp_assembly_open(w.st, "u", 0, &a, &err), FILEPROC_ERR_CORRUPT, &err);
    fpi_storage_s3_driver.close(s);
    storage_world_close(&w);
}
END_TEST

START_TEST(a_lost_upload_is_told)
{
    fp_error err = { 0 };
    fp_assembly *a;
    storage_world w;
    fpi_s3_store *s = NULL;

    storage_world_open(&w, drivers);
    a = two_parts(&w);
    ck_status(fpi_storage_s3_driver.open(w.ctx, w.uri, options(), (void **)&s, &err), FILEPROC_OK,
              &err);
    ck_status(fpi_s3_multipart_abort(s, "k", "upload/1+x", &err), FILEPROC_OK, &err);
    ck_reason(fp_assembly_publish(a, "k", SLOT + 1000, 0, &err), FILEPROC_ERR_NOTFOUND,
              "object_not_found", &err);
    fp_assembly_close(a);
    a = must_open(w.st, "u", 0);
    ck_reason(fp_assembly_publish(a, "k", SLOT + 1000, 0, &err), FILEPROC_ERR_NOTFOUND,
              "object_not_found", &err);
    fp_assembly_close(a);
    fpi_storage_s3_driver.close(s);
    storage_world_close(&w);
}
END_TEST

START_TEST(lists_that_are_cut_go_on_without_repeating)
{
    static const char *const faults[] = {
        "{\"kind\":\"cut\",\"method\":\"GET\",\"match\":\"list-type\",\"count\":2}",
        "{\"kind\":\"xml\",\"method\":\"GET\",\"match\":\"list-type\",\"body\":"
        "\"<ListBucketResult><Contents><Key>a00</Key><Size>1\"}",
        "{\"kind\":\"xml\",\"method\":\"GET\",\"match\":\"list-type\",\"body\":\"\"}",
    };

    for (size_t f = 0; f < sizeof(faults) / sizeof(*faults); f++) {
        fp_storage_list_page *page = NULL;
        fp_error err = { 0 };
        storage_world w;

        storage_world_open(&w, drivers);
        for (unsigned i = 0; i < 50; i++) {
            char key[8];

            snprintf(key, sizeof(key), "a%02u", i);
            must_put(w.st, key, 1, 10);
        }
        inject(faults[f]);
        ck_status(fp_storage_list(w.st, "a", NULL, 100, &page, &err), FILEPROC_OK, &err);
        ck_assert_uint_eq(page->count, 50);
        for (unsigned i = 0; i < 50; i++)
            ck_assert_uint_eq((unsigned)strtoul(page->names[i] + 1, NULL, 10), i);
        fp_storage_list_free(page);
        storage_world_close(&w);
    }
}
END_TEST

START_TEST(connections_that_are_cut_lose_nothing)
{
    static const char *const rules[] = { "cut up 3000000", "cut up 100", "cut down 50",
                                         "cut down 5", "refuse" };

    for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
        char port[16], uri[128];
        fp_storage *st = NULL;
        fp_error err = { 0 };
        fp_assembly *a;
        storage_world w;
        child proxy;

        storage_world_open(&w, drivers);
        child_start(&proxy, SOURCE_ROOT "/tests/support/tcp_proxy.py", endpoint);
        child_line(&proxy, port, sizeof(port));
        snprintf(uri, sizeof(uri), "s3://bucket?endpoint=127.0.0.1:%s&secure=0", port);
        ck_status(fp_storage_open(w.ctx, uri, options(), &st, &err), FILEPROC_OK, &err);
        a = must_open(st, "u", CREATE);
        must_part(a, 1, 0, SLOT);
        child_tell(&proxy, rules[i]);
        ck_assert_msg(try_part(a, 1, SLOT, SLOT, &err) < 0, "%s: it succeeds", rules[i]);
        ck_assert_uint_ne(err.flags & FILEPROC_ERROR_RETRYABLE, 0);
        child_tell(&proxy, "pass");
        must_part(a, 1, SLOT, SLOT);
        ck_status(fp_assembly_publish(a, "k", 2 * SLOT, 0, &err), FILEPROC_OK, &err);
        fp_assembly_close(a);
        ck_assert(object_is(w.st, "k", 1, 2 * SLOT));
        child_end(&proxy);
        fp_storage_free(st);
        storage_world_close(&w);
    }
}
END_TEST

static int64_t elapsed_ms(const struct timespec *begin)
{
    struct timespec end;

    clock_gettime(CLOCK_MONOTONIC, &end);
    return (end.tv_sec - begin->tv_sec) * INT64_C(1000) + (end.tv_nsec - begin->tv_nsec) / 1000000;
}

START_TEST(a_connection_that_hangs_is_given_up_and_a_slow_one_is_not)
{
    char port[16], uri[128];
    struct timespec begin;
    fp_storage *st = NULL;
    fp_error err = { 0 };
    fp_assembly *a;
    storage_world w;
    child proxy;

    storage_world_open(&w, drivers);
    child_start(&proxy, SOURCE_ROOT "/tests/support/tcp_proxy.py", endpoint);
    child_line(&proxy, port, sizeof(port));
    snprintf(uri, sizeof(uri), "s3://bucket?endpoint=127.0.0.1:%s&secure=0&payload=unsigned", port);
    ck_status(fp_storage_open(w.ctx, uri, options(), &st, &err), FILEPROC_OK, &err);
    a = must_open(st, "u", CREATE);
    child_tell(&proxy, "slow 2500000");
    must_part(a, 1, 0, SLOT);
    child_tell(&proxy, "stall");
    clock_gettime(CLOCK_MONOTONIC, &begin);
    ck_status(try_part(a, 1, SLOT, SLOT, &err), FILEPROC_ERR_TIMEOUT, &err);
    ck_assert_int_lt(elapsed_ms(&begin), 25000);
    ck_assert_uint_ne(err.flags & FILEPROC_ERROR_RETRYABLE, 0);
    child_tell(&proxy, "pass");
    must_part(a, 1, SLOT, SLOT);
    ck_status(fp_assembly_publish(a, "k", 2 * SLOT, 0, &err), FILEPROC_OK, &err);
    ck_assert(object_is(w.st, "k", 1, 2 * SLOT));
    fp_assembly_close(a);
    child_end(&proxy);
    fp_storage_free(st);
    storage_world_close(&w);
}
END_TEST

/* The driver with slots so small that no time is spent on bytes. */
#define TINY_SLOT 1000

static fp_status tiny_open(fp_context *ctx, const char *uri, const fp_storage_options *o,
                           void **self, fp_error *err)
{
    fp_status rc = fpi_storage_s3_driver.open(ctx, uri, o, self, err);

    if (rc == FILEPROC_OK)
        ((fpi_s3_store *)*self)->unit = TINY_SLOT;
    return rc;
}

static fp_status use_everything(fp_context *ctx, const char *uri, fp_error *err)
{
    FPI_CLEANUP(fp_storage) st = NULL;
    FPI_CLEANUP(fp_assembly) a = NULL;
    FPI_CLEANUP(fp_part) part = NULL;
    FPI_CLEANUP(fp_storage_list_page) page = NULL;
    FPI_DISPOSE(fp_buf) url = FILEPROC_BUF_INIT;
    static char bytes[TINY_SLOT + 1];
    fp_status rc = fp_storage_open(ctx, uri, options(), &st, err);

    if (rc == FILEPROC_OK)
        rc = fp_storage_put(st, "small", "x", 1, 0, err);
    if (rc == FILEPROC_OK)
        rc = fp_assembly_open(st, "u", CREATE, &a, err);
    if (rc == FILEPROC_OK)
        rc = fp_assembly_set_target(a, "k", sizeof(bytes), err);
    if (rc == FILEPROC_OK && fp_assembly_part_count(a) == 0)
        rc = fp_part_begin(a, 0, sizeof(bytes), &part, err);
    if (rc == FILEPROC_OK && part)
        rc = fp_part_write(part, bytes, sizeof(bytes), err);
    if (rc == FILEPROC_OK && part)
        rc = fp_part_commit(part, "note", 4, err);
    if (rc == FILEPROC_OK)
        rc = fp_assembly_publish(a, "k", sizeof(bytes), 0, err);
    if (rc == FILEPROC_OK)
        rc = fp_storage_list(st, NULL, NULL, 10, &page, err);
    if (rc == FILEPROC_OK)
        rc = fp_storage_presign(st, "k", FILEPROC_PRESIGN_GET, 10, &url, err);
    if (rc == FILEPROC_OK)
        rc = fp_storage_reap(st, 1000, NULL, err);
    return rc;
}

/* A slot is sent without a commit, and then adopted. */
static fp_status use_adoption(fp_context *ctx, const char *uri, fp_error *err)
{
    FPI_CLEANUP(fp_storage) st = NULL;
    FPI_CLEANUP(fp_assembly) a = NULL;
    FPI_CLEANUP(fp_part) part = NULL;
    static const char *const etags[] = { "ede3d3b685b4e137ba4cb2521329a75e" };
    static char bytes[TINY_SLOT + 1];
    fp_adoption what = FILEPROC_ADOPTION_INIT;
    fp_status rc = fp_storage_open(ctx, uri, options(), &st, err);

    what.length = TINY_SLOT;
    what.etags = etags;
    what.etag_count = 1;
    what.note = "note";
    what.note_size = 4;
    if (rc == FILEPROC_OK)
        rc = fp_assembly_open(st, "u", CREATE, &a, err);
    if (rc == FILEPROC_OK)
        rc = fp_assembly_set_target(a, "k", TINY_SLOT, err);
    if (rc == FILEPROC_OK)
        rc = fp_part_begin(a, 0, sizeof(bytes), &part, err);
    if (rc == FILEPROC_OK)
        rc = fp_part_write(part, bytes, sizeof(bytes), err);
    if (rc == FILEPROC_OK)
        rc = fp_assembly_adopt(a, &what, err);
    if (rc == FILEPROC_OK) {
        fp_part_free(fpi_steal(&part));
        fp_assembly_close(fpi_steal(&a));
        rc = fp_assembly_open(st, "u", 0, &a, err);
    }
    if (rc == FILEPROC_OK)
        rc = fp_assembly_set_target(a, "k", TINY_SLOT, err);
    return rc < 0 ? rc : fp_assembly_publish(a, "k", TINY_SLOT, 0, err);
}

static void must_survive(fp_status (*use)(fp_context *ctx, const char *uri, fp_error *err))
{
    fp_storage_driver tiny = fpi_storage_s3_driver;
    char uri[128];
    fault f;

    tiny.open = tiny_open;
    fresh_with(uri, "1000");
    FAULT_LOOP(&f)
    {
        fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
        fp_context *ctx = NULL;
        fp_storage *st = NULL;
        fp_error err = { 0 };
        fp_status rc;

        o.allocator = &f.allocator;
        fault_disarm(&f);
        ck_assert_int_eq(fp_context_new(&o, &ctx, NULL), FILEPROC_OK);
        ck_assert_int_eq(fp_context_add_storage_driver(ctx, &tiny, NULL), FILEPROC_OK);
        fault_arm(&f);
        rc = use(ctx, uri, &err);
        fault_judge(&f, rc, &err);
        ck_status(fp_storage_open(ctx, uri, options(), &st, &err), FILEPROC_OK, &err);
        ck_status(fp_storage_discard(st, "u", &err), FILEPROC_OK, &err);
        fp_storage_free(st);
        fp_context_free(ctx);
    }
    gone(uri);
}

START_TEST(everything_survives_every_allocation_failure)
{
    must_survive(use_everything);
}
END_TEST

START_TEST(adoption_survives_every_allocation_failure)
{
    must_survive(use_adoption);
}
END_TEST

START_TEST(bad_addresses_are_refused)
{
    static const char *const uris[] = {
        "s3:",
        "s3://",
        "s3://b",
        "s3://bucket:9000/",
        "s3://key:secret@bucket/",
        "s3://bucket/../x",
        "s3://bucket/a//b",
        "s3://bucket?endpoint=",
        "s3://bucket?endpoint=a/b",
        "s3://bucket?endpoint=a@b",
        "s3://bucket?secure=2",
        "s3://bucket?style=other",
        "s3://bucket?region=%20",
        "s3://bucket?secret_key=x",
        "s3://bucket?secure",
    };
    fp_storage_options none = FILEPROC_STORAGE_OPTIONS_INIT, small = *options();
    fp_context *ctx = NULL;
    fp_storage *st = NULL;
    fp_error err = { 0 };

    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    for (size_t i = 0; i < sizeof(uris) / sizeof(*uris); i++)
        ck_status(fp_storage_open(ctx, uris[i], options(), &st, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_storage_open(ctx, "s3://bucket", &none, &st, &err), FILEPROC_ERR_AUTH, &err);
    small.part_size = SLOT - 1;
    ck_status(fp_storage_open(ctx, "s3://bucket", &small, &st, &err), FILEPROC_ERR_INVALID, &err);
    ck_assert_ptr_null(st);
    fp_context_free(ctx);
}
END_TEST

START_TEST(nobody_there_is_told_as_busy)
{
    fp_storage_options o = *options();
    fp_storage *st = NULL;
    fp_context *ctx = NULL;
    fp_error err = { 0 };

    o.max_attempts = 2;
    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    ck_status(fp_storage_open(ctx, "s3://bucket?endpoint=127.0.0.1:1&secure=0", &o, &st, &err),
              FILEPROC_OK, &err);
    ck_status(fp_storage_remove(st, "k", &err), FILEPROC_ERR_BUSY, &err);
    ck_assert_str_eq(err.domain, "curl");
    fp_storage_free(st);
    fp_context_free(ctx);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_fails_for_a_while_is_repeated,
        trying_ends_after_the_last_attempt,
        what_can_never_succeed_is_not_repeated,
        the_server_s_wish_to_wait_is_granted,
        an_exclusive_put_knows_its_own_lost_answer,
        servers_without_conditions_are_recognised,
        publication_survives_every_kind_of_answer,
        a_part_that_another_wrote_over_is_noticed,
        the_same_record_twice_counts_once,
        a_lost_upload_is_told,
        lists_that_are_cut_go_on_without_repeating,
        connections_that_are_cut_lose_nothing,
        a_connection_that_hangs_is_given_up_and_a_slow_one_is_not,
        bad_addresses_are_refused,
        nobody_there_is_told_as_busy,
    };
    Suite *suite = suite_of("storage_s3_faults", tests, sizeof(tests) / sizeof(*tests));
    TCase *slow = tcase_create("allocation failures");

    tcase_set_timeout(slow, 400); /* hundreds of rounds, each of a dozen requests */
    tcase_add_test(slow, everything_survives_every_allocation_failure);
    tcase_add_test(slow, adoption_survives_every_allocation_failure);
    suite_add_tcase(suite, slow);
    tcase_add_loop_test(slow, slots_that_fail_on_their_way_go_out_again, 0, 2);

    storage_contract_add(suite, drivers, 1);
    assembly_contract_add(suite, drivers, 1);
    return run_suite(suite);
}
