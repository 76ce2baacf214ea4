/* Owns: the promises of type.check and clamav.scan as operations of a set of pipelines.
 * Must not know: what is said to clamd (test_clamd.c). */
#include "pipeline/check_operation.h"

#include <string.h>
#include <unistd.h>

#include "fake_clamd.h"
#include "fault.h"
#include "pipeline/pipeline_private.h"
#include "runner.h"
#include "scratch.h"
#include "pipeline_world.h"

static fp_status no_tick(void *handle, fp_error *err)
{
    (void)handle;
    (void)err;
    return FILEPROC_OK;
}

static void check_type(const char *declared, const char *detected, const char *expected)
{
    fp_context *ctx = NULL;
    fpi_checks checks;
    fp_buf result = FILEPROC_BUF_INIT;
    fp_operation_call call = { .struct_size = sizeof(call),
                               .declared_mime_type = declared,
                               .detected_mime_type = detected };
    fp_error err = { 0 };

    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    fpi_checks_init(&checks, NULL);
    ck_assert_uint_eq(checks.count, 1);
    call.ctx = ctx;
    ck_status(checks.operations[0].run(&call, NULL, &result, &err), FILEPROC_OK, &err);
    ck_assert_msg(strstr(result.data, expected), "%s instead of %s", result.data, expected);
    fp_buf_dispose(&result);
    fpi_checks_dispose(&checks);
    fp_context_free(ctx);
}

START_TEST(type_check_tells_a_contradiction_from_a_vaguer_name)
{
    check_type("image/png", "image/png", "\"verdict\":\"clean\"}");
    check_type("text/csv", "text/plain", "\"verdict\":\"clean\"}");
    check_type("application/java-archive", "application/zip", "\"verdict\":\"clean\"}");
    check_type("image/png", "application/x-dosexec",
               "\"verdict\":\"mismatch\",\"reason\":\"application/x-dosexec\"}");
    check_type("text/plain", "text/html", "\"verdict\":\"mismatch\"");
    check_type("image/png", NULL, "\"verdict\":\"unscannable\",\"reason\":\"type_unknown\"}");
    check_type(NULL, "image/png", "\"verdict\":\"clean\"}");
}
END_TEST

static void check_scan(const char *reply, const char *expected)
{
    fake_clamd *fake = fake_clamd_start(NULL, FAKE_CLAMD_ANSWER, reply, strlen(reply) + 1);
    fp_context *ctx = NULL;
    fp_pipelines *pls = NULL;
    fp_pipelines_options o = FILEPROC_PIPELINES_OPTIONS_INIT;
    fp_buf result = FILEPROC_BUF_INIT;
    fp_operation_call call = { .struct_size = sizeof(call), .tick = no_tick };
    const fpi_operation *op;
    fp_error err = { 0 };

    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    o.clamd_uri = fake_clamd_uri(fake);
    ck_status(fp_pipelines_open(ctx, &o, &pls, &err), FILEPROC_OK, &err);
    op = fpi_operations_find(&pls->ops, "clamav.scan");
    ck_assert_ptr_nonnull(op);
    call.ctx = ctx;
    call.fd = sample_file("hello", 5);
    ck_status(op->embedded->run(&call, op->embedded->user_data, &result, &err), FILEPROC_OK, &err);
    ck_assert_str_eq(result.data, expected);
    close(call.fd);
    fp_buf_dispose(&result);
    fp_pipelines_free(pls);
    fp_context_free(ctx);
    fake_clamd_stop(fake);
}

START_TEST(clamav_scan_says_what_clamd_said)
{
    check_scan("stream: OK", "{\"verdict\":\"clean\"}");
    check_scan("stream: Win.Test.EICAR_HDB-1 FOUND",
               "{\"verdict\":\"infected\",\"reason\":\"Win.Test.EICAR_HDB-1\"}");
    check_scan("INSTREAM size limit exceeded. ERROR",
               "{\"verdict\":\"unscannable\",\"reason\":\"too_large\"}");
}
END_TEST

START_TEST(there_is_no_scan_without_a_clamd_but_its_name_is_taken)
{
    fp_context *ctx = NULL;
    fp_pipelines *pls = NULL;
    fp_error err = { 0 };

    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    ck_status(fp_pipelines_open(ctx, NULL, &pls, &err), FILEPROC_OK, &err);
    ck_assert_ptr_null(fpi_operations_find(&pls->ops, "clamav.scan"));
    ck_assert_ptr_nonnull(fpi_operations_find(&pls->ops, "type.check"));
    fp_pipelines_free(pls);
    ck_assert(fpi_check_is_reserved("clamav.scan") && fpi_check_is_reserved("type.check"));
    ck_assert(!fpi_check_is_reserved("my.check"));
    fp_context_free(ctx);
}
END_TEST

START_TEST(a_wrong_address_stops_the_opening)
{
    fp_pipelines_options o = FILEPROC_PIPELINES_OPTIONS_INIT;
    fp_context *ctx = NULL;
    fp_pipelines *pls = NULL;
    fp_error err = { 0 };

    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    o.clamd_uri = "http://localhost";
    ck_assert_int_eq(fp_pipelines_open(ctx, &o, &pls, &err), FILEPROC_ERR_INVALID);
    ck_assert_ptr_null(pls);
    ck_assert_ptr_nonnull(strstr(err.message, "tcp://host:port"));
    fp_context_free(ctx);
}
END_TEST

START_TEST(opening_with_a_clamd_survives_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_context_options co = FILEPROC_CONTEXT_OPTIONS_INIT;
        fp_pipelines_options o = FILEPROC_PIPELINES_OPTIONS_INIT;
        fp_context *ctx = NULL;
        fp_pipelines *pls = NULL;
        fp_error err = { 0 };
        fp_status rc;

        co.allocator = &f.allocator;
        o.clamd_uri = "unix:///run/clamd";
        fault_disarm(&f);
        ck_assert_int_eq(fp_context_new(&co, &ctx, NULL), FILEPROC_OK);
        fault_arm(&f);
        rc = fp_pipelines_open(ctx, &o, &pls, &err);
        fault_judge(&f, rc, &err);
        ck_assert((rc == FILEPROC_OK) == (pls != NULL));
        fp_pipelines_free(pls);
        fp_context_free(ctx);
    }
}
END_TEST

RUN_TESTS("check_operation", type_check_tells_a_contradiction_from_a_vaguer_name,
          clamav_scan_says_what_clamd_said, there_is_no_scan_without_a_clamd_but_its_name_is_taken,
          a_wrong_address_stops_the_opening, opening_with_a_clamd_survives_every_allocation_failure)
