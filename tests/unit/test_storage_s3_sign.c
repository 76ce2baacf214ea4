/* Owns: the tests of storage/storage_s3_sign.c. The expected values were computed by another implementation (Python's hmac), for the
 * requests and the key pair of the public documentation.
 * Must not know: requests. */
#include "storage/storage_s3_sign.h"

#include <string.h>

#include "core/digest.h"
#include "fault.h"
#include "runner.h"

#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const fpi_s3_signer signer = { "AKIAIOSFODNN7EXAMPLE",
                                      "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1" };
static const char *const get_headers[] = { "host:examplebucket.s3.amazonaws.com", "range:bytes=0-9",
                                           "x-amz-content-sha256:" EMPTY_HASH,
                                           "x-amz-date:20130524T000000Z" };
static const fpi_s3_message get = { .method = "GET",
                                    .path = "/test.txt",
                                    .query = "",
                                    .headers = get_headers,
                                    .header_count = 4,
                                    .payload_hash = EMPTY_HASH,
                                    .time = "20130524T000000Z" };

static void must_end_with(const fp_buf *buf, const char *end)
{
    ck_assert_uint_ge(buf->size, strlen(end));
    ck_assert_str_eq(buf->data + buf->size - strlen(end), end);
}

START_TEST(a_request_is_signed_as_documented)
{
    fp_context *ctx = NULL;
    fp_buf out = FILEPROC_BUF_INIT;

    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    ck_assert_int_eq(fpi_s3_sign(ctx, &signer, &get, &out, NULL), FILEPROC_OK);
    ck_assert_ptr_eq(strstr(out.data, "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/"
                                      "us-east-1/s3/aws4_request,SignedHeaders=host;range;"
                                      "x-amz-content-sha256;x-amz-date,Signature="),
                     out.data);
    must_end_with(&out, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
    fp_buf_dispose(&out);
    fp_context_free(ctx);
}
END_TEST

START_TEST(an_address_is_signed_as_documented)
{
    static const char *const headers[] = { "host:examplebucket.s3.amazonaws.com" };
    fpi_s3_message m = get;
    fp_context *ctx = NULL;
    fp_buf out = FILEPROC_BUF_INIT;

    m.headers = headers;
    m.header_count = 1;
    m.payload_hash = FPI_S3_UNSIGNED;
    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    ck_assert_int_eq(fpi_s3_presign(ctx, &signer, &m, 86400, &out, NULL), FILEPROC_OK);
    must_end_with(
        &out, "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
    ck_assert_ptr_nonnull(strstr(out.data, "AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2F"));
    fp_buf_dispose(&out);
    fp_context_free(ctx);
}
END_TEST

START_TEST(one_changed_byte_changes_the_signature)
{
    fpi_s3_message changed[4] = { get, get, get, get };
    fp_context *ctx = NULL;
    fp_buf first = FILEPROC_BUF_INIT;

    changed[0].method = "PUT";
    changed[1].path = "/test.txu";
    changed[2].query = "a=";
    changed[3].time = "20130524T000001Z";
    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    ck_assert_int_eq(fpi_s3_sign(ctx, &signer, &get, &first, NULL), FILEPROC_OK);
    for (size_t i = 0; i < 4; i++) {
        fp_buf other = FILEPROC_BUF_INIT;

        ck_assert_int_eq(fpi_s3_sign(ctx, &signer, &changed[i], &other, NULL), FILEPROC_OK);
        ck_assert_str_ne(first.data, other.data);
        fp_buf_dispose(&other);
    }
    fp_buf_dispose(&first);
    fp_context_free(ctx);
}
END_TEST

START_TEST(everything_but_unreserved_characters_is_encoded)
{
    fp_context *ctx = NULL;
    fp_buf out = FILEPROC_BUF_INIT;

    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    ck_assert_int_eq(fpi_s3_encode(ctx, &out, "aZ09-._~/ +&=%\xC3\xA4", true, NULL), FILEPROC_OK);
    ck_assert_str_eq(out.data, "aZ09-._~/%20%2B%26%3D%25%C3%A4");
    fp_buf_dispose(&out);
    ck_assert_int_eq(fpi_s3_encode(ctx, &out, "a/b!", false, NULL), FILEPROC_OK);
    ck_assert_str_eq(out.data, "a%2Fb%21");
    fp_buf_dispose(&out);
    fp_context_free(ctx);
}
END_TEST

START_TEST(times_are_written_in_the_basic_form)
{
    char out[FPI_S3_TIME_SIZE];

    fpi_s3_time(1369353600000, out);
    ck_assert_str_eq(out, "20130524T000000Z");
    fpi_s3_time(1700000000999, out);
    ck_assert_str_eq(out, "20231114T221320Z");
}
END_TEST

START_TEST(signing_survives_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
        fp_context *ctx = NULL;
        fp_buf out = FILEPROC_BUF_INIT;
        fp_error err = { 0 };
        fp_status rc;

        o.allocator = &f.allocator;
        fault_disarm(&f);
        ck_assert_int_eq(fp_context_new(&o, &ctx, NULL), FILEPROC_OK);
        fault_arm(&f);
        rc = fpi_s3_sign(ctx, &signer, &get, &out, &err);
        if (rc == FILEPROC_OK)
            rc = fpi_s3_presign(ctx, &signer, &get, 60, &out, &err);
        fault_judge(&f, rc, &err);
        fp_buf_dispose(&out);
        fp_context_free(ctx);
    }
}
END_TEST

RUN_TESTS("storage_s3_sign", a_request_is_signed_as_documented, an_address_is_signed_as_documented,
          one_changed_byte_changes_the_signature, everything_but_unreserved_characters_is_encoded,
          times_are_written_in_the_basic_form, signing_survives_every_allocation_failure)
