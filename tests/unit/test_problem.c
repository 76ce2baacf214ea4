/* Owns: the tests of daemons/common/problem.c. */
#include <fcntl.h>
#include <jansson.h>
#include <unistd.h>

#include "fake_http.h"
#include "problem.h"
#include "runner.h"

/* The body of the reply as JSON. */
static json_t *answer(const fake_http *f)
{
    const char *body = strstr(f->sent.data, "\r\n\r\n");
    json_t *json = json_loads(body + 4, 0, NULL);

    ck_assert_ptr_nonnull(json);
    return json;
}

static const char *member(const json_t *json, const char *name)
{
    return json_string_value(json_object_get(json, name));
}

START_TEST(a_problem_has_all_its_members)
{
    fake_http f;
    json_t *json;

    fake_init(&f, "GET", "/v1/\"x\"", "X-Request-Id: me");
    fpd_problem(fake_request(&f), 422, "parameter_invalid", "size must be %s.", "a number");
    ck_assert_int_eq(fake_status(&f), 422);
    ck_assert(fake_sent(&f, "\r\nContent-Type: application/problem+json\r\n"));
    json = answer(&f);
    ck_assert_str_eq(member(json, "type"), "about:blank");
    ck_assert_str_eq(member(json, "title"), "Unprocessable Content");
    ck_assert_int_eq(json_integer_value(json_object_get(json, "status")), 422);
    ck_assert_str_eq(member(json, "detail"), "size must be a number.");
    ck_assert_str_eq(member(json, "instance"), "/v1/\"x\"");
    ck_assert_str_eq(member(json, "code"), "parameter_invalid");
    ck_assert_str_eq(member(json, "request_id"), "me");
    json_decref(json);
    fake_dispose(&f);
}
END_TEST

START_TEST(a_problem_can_have_a_type_and_members_of_its_own)
{
    fpd_problem_kind kind = { 409, "offset_mismatch", "https://example.com/#a", "A Title",
                              "\"expected-offset\":5" };
    fake_http f;
    json_t *json;

    fake_init(&f, "GET", "/", "X-Request-Id: me");
    fpd_problem_of_kind(fake_request(&f), &kind, "It is at %d.", 5);
    ck_assert_int_eq(fake_status(&f), 409);
    json = answer(&f);
    ck_assert_str_eq(member(json, "type"), "https://example.com/#a");
    ck_assert_str_eq(member(json, "title"), "A Title");
    ck_assert_str_eq(member(json, "detail"), "It is at 5.");
    ck_assert_str_eq(member(json, "code"), "offset_mismatch");
    ck_assert_int_eq(json_integer_value(json_object_get(json, "expected-offset")), 5);
    json_decref(json);
    fake_dispose(&f);
}
END_TEST

START_TEST(errors_of_the_library_get_their_status)
{
    static const struct {
        fp_status code;
        int32_t reason;
        int status;
    } cases[] = {
        { FILEPROC_ERR_NOTFOUND, FILEPROC_REASON_UPLOAD_NOT_FOUND, 404 },
        { FILEPROC_ERR_NOTFOUND, FILEPROC_REASON_UPLOAD_EXPIRED, 410 },
        { FILEPROC_ERR_CONFLICT, FILEPROC_REASON_UPLOAD_CANCELLED, 409 },
        { FILEPROC_ERR_CONFLICT, FILEPROC_REASON_UPLOAD_COMPLETED, 409 },
        { FILEPROC_ERR_INVALID, FILEPROC_REASON_UPLOAD_INCOMPLETE, 400 },
        { FILEPROC_ERR_INVALID, FILEPROC_REASON_CHUNK_INDEX_INVALID, 400 },
        { FILEPROC_ERR_INVALID, FILEPROC_REASON_CHUNK_LENGTH_INVALID, 400 },
        { FILEPROC_ERR_CONFLICT, FILEPROC_REASON_CHUNK_CONFLICT, 409 },
        { FILEPROC_ERR_CONFLICT, FILEPROC_REASON_CHUNK_SUPERSEDED, 409 },
        { FILEPROC_ERR_INVALID, FILEPROC_REASON_DIGEST_MISMATCH, 400 },
        { FILEPROC_ERR_INVALID, FILEPROC_REASON_DIGEST_UNSUPPORTED, 400 },
        { FILEPROC_ERR_QUOTA, FILEPROC_REASON_SIZE_TOO_LARGE, 413 },
        { FILEPROC_ERR_INVALID, FILEPROC_REASON_TYPE_NOT_ALLOWED, 415 },
        { FILEPROC_ERR_INVALID, FILEPROC_REASON_FILENAME_INVALID, 422 },
        { FILEPROC_ERR_INVALID, FILEPROC_REASON_METADATA_INVALID, 422 },
        { FILEPROC_ERR_NOTFOUND, FILEPROC_REASON_FILE_NOT_FOUND, 404 },
        { FILEPROC_ERR_NOTFOUND, FILEPROC_REASON_JOB_NOT_FOUND, 404 },
        { FILEPROC_ERR_CONFLICT, FILEPROC_REASON_JOB_FINISHED, 409 },
        { FILEPROC_ERR_INVALID, FILEPROC_REASON_CURSOR_INVALID, 422 },
        { FILEPROC_ERR_INVALID, FILEPROC_REASON_PIPELINE_INVALID, 422 },
        { FILEPROC_ERR_NOTFOUND, FILEPROC_REASON_PIPELINE_UNKNOWN, 404 },
        { FILEPROC_ERR_INVALID, FILEPROC_REASON_OPERATION_UNKNOWN, 422 },
        { FILEPROC_ERR_INVALID, FILEPROC_REASON_PARAMETER_INVALID, 422 },
        { FILEPROC_ERR_QUOTA, FILEPROC_REASON_STORAGE_FULL, 507 },
        { FILEPROC_ERR_INVALID, FILEPROC_REASON_MEDIA_UNSUPPORTED, 422 },
        { FILEPROC_ERR_NOTFOUND, FILEPROC_REASON_OBJECT_NOT_FOUND, 500 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        fp_error err = { 0 };

        (void)fp_error_reasonf(&err, cases[i].code, cases[i].reason, "x");
        ck_assert_msg(fpd_problem_status(&err) == cases[i].status, "%s", fp_error_reason(&err));
    }
}
END_TEST

START_TEST(an_errno_is_not_taken_for_a_reason)
{
    fp_error err = { .code = FILEPROC_ERR_IO,
                     .cause = FILEPROC_REASON_UPLOAD_EXPIRED,
                     .domain = "errno" };

    ck_assert_int_eq(fpd_problem_status(&err), 500);
}
END_TEST

START_TEST(what_may_succeed_later_is_told_as_busy)
{
    fp_error err = { .code = FILEPROC_ERR_IO, .cause = 56, .domain = "curl" };

    ck_assert_int_eq(fpd_problem_status(&err), 500);
    err.flags = FILEPROC_ERROR_RETRYABLE;
    ck_assert_int_eq(fpd_problem_status(&err), 503);
    err.flags = FILEPROC_ERROR_UNCERTAIN; /* as when the client's own connection had broken */
    ck_assert_int_eq(fpd_problem_status(&err), 503);
}
END_TEST

START_TEST(every_status_code_has_a_status)
{
    for (fp_status code = FILEPROC_ERR_USER; code < 0; code++) {
        fp_error err = { .code = code };

        ck_assert_int_ge(fpd_problem_status(&err), 400);
    }
}
END_TEST

START_TEST(what_the_server_got_wrong_is_not_told_to_the_client)
{
    fp_error err = { 0 };
    fake_http f;
    json_t *json;
    int saved = dup(2), null = open("/dev/null", O_WRONLY);

    (void)fp_error_setf(&err, FILEPROC_ERR_IO, "open /secret/folder: permission denied");
    fake_init(&f, "GET", "/v1/files", "");
    dup2(null, 2);
    fpd_problem_error(fake_request(&f), &err);
    dup2(saved, 2);
    ck_assert_int_eq(fake_status(&f), 500);
    ck_assert(!fake_sent(&f, "secret"));
    json = answer(&f);
    ck_assert_str_eq(member(json, "code"), "io");
    json_decref(json);
    fake_dispose(&f);
    (void)fp_error_setf(&err, FILEPROC_ERR_BUSY, "locked");
    fake_init(&f, "GET", "/v1/files", "");
    dup2(null, 2);
    fpd_problem_error(fake_request(&f), &err);
    dup2(saved, 2);
    ck_assert_int_eq(fake_status(&f), 503);
    ck_assert(fake_sent(&f, "\r\nRetry-After: 1\r\n"));
    fake_dispose(&f);
    close(saved);
    close(null);
}
END_TEST

START_TEST(strange_details_stay_json)
{
    fake_http f;

    fake_init(&f, "GET", "/\xff\xfe", "");
    fpd_problem(fake_request(&f), 400, "bad_request", "\"\\\n\x01\xc3(");
    json_decref(answer(&f));
    fake_dispose(&f);
}
END_TEST

RUN_TESTS("problem", a_problem_has_all_its_members,
          a_problem_can_have_a_type_and_members_of_its_own, errors_of_the_library_get_their_status,
          an_errno_is_not_taken_for_a_reason, what_may_succeed_later_is_told_as_busy,
          every_status_code_has_a_status, what_the_server_got_wrong_is_not_told_to_the_client,
          strange_details_stay_json)
