/* Owns: stores on the S3 server that tests are given by the environment: fresh buckets.
 * Must not know: what is tested. */
#include "s3_server.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "scratch.h"
#include "storage/storage_s3_private.h"

/* FILEPROC_TEST_S3_..., or that of the server which FILEPROC_TEST_S3_SERVER names. */
static const char *variable(const char *what)
{
    const char *server = getenv("FILEPROC_TEST_S3_SERVER"), *value;
    char name[64];

    snprintf(name, sizeof(name), "FILEPROC_TEST_%s_%s", server ? server : "S3", what);
    value = getenv(name);
    if (!value || !*value) {
        printf("1..0 # SKIP %s is not set: no S3 server\n", name);
        exit(EXIT_SUCCESS);
    }
    return value;
}

bool s3_server_is(const char *name)
{
    const char *server = getenv("FILEPROC_TEST_S3_SERVER");

    return server && strcmp(server, name) == 0;
}

void s3_server_need(void)
{
    variable("ENDPOINT");
}

const char *s3_server_endpoint(void)
{
    return variable("ENDPOINT");
}

const fp_storage_options *s3_server_options(void)
{
    static fp_storage_options o = FILEPROC_STORAGE_OPTIONS_INIT;

    o.access_key = variable("ACCESS_KEY");
    o.secret_key = variable("SECRET_KEY");
    return &o;
}

void s3_server_uri(char uri[128], const char *bucket, const char *endpoint)
{
    snprintf(uri, 128, "s3://%s?endpoint=%s&secure=0", bucket, endpoint);
}

/* Runs a request on the bucket itself. */
static void on_bucket(const char *uri, const char *method)
{
    fpi_s3_call call = { .method = method };
    fp_context *ctx = NULL;
    fp_error err = { 0 };
    void *s = NULL;

    ck_status(fp_context_new(NULL, &ctx, &err), FILEPROC_OK, &err);
    ck_status(fpi_storage_s3_driver.open(ctx, uri, s3_server_options(), &s, &err), FILEPROC_OK,
              &err);
    ck_status(fpi_s3_run(s, &call, &err), FILEPROC_OK, &err);
    fpi_storage_s3_driver.close(s);
    fp_context_free(ctx);
}

void s3_server_fresh(char uri[128])
{
    static atomic_uint number;
    char bucket[64];

    snprintf(bucket, sizeof(bucket), "test-%d-%ld-%u", (int)getpid(), (long)time(NULL) % 1000000,
             atomic_fetch_add(&number, 1));
    s3_server_uri(uri, bucket, s3_server_endpoint());
    on_bucket(uri, "PUT");
}

static fp_status remove_name(void *user_data, const fpi_s3_listed *e, fp_error *err)
{
    (void)err;
    ck_status(fpi_s3_delete(user_data, e->key, err), FILEPROC_OK, err);
    return FILEPROC_OK;
}

void s3_server_gone(const char *uri)
{
    fp_context *ctx = NULL;
    fp_error err = { 0 };
    uint64_t count;
    void *s = NULL;

    ck_status(fp_context_new(NULL, &ctx, &err), FILEPROC_OK, &err);
    ck_status(fpi_storage_s3_driver.open(ctx, uri, s3_server_options(), &s, &err), FILEPROC_OK,
              &err);
    ck_status(fpi_s3_list_names(s, "", "", 1000, remove_name, s, &err), FILEPROC_OK, &err);
    ck_status(fpi_s3_reap(s, 0, &count, &err), FILEPROC_OK, &err);
    fpi_storage_s3_driver.close(s);
    fp_context_free(ctx);
    on_bucket(uri, "DELETE");
}
