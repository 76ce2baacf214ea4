/* Owns: the tests of daemons/upload/resumable_fields.c. */
#include "fake_http.h"
#include "resumable.h"
#include "runner.h"

#define SHA256_OF_NOTHING "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
#define HEX_OF_NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void begin(fake_http *f, fpd_resumable *r, const char *lines)
{
    fake_init(f, "PATCH", "/v1/resumable/a", lines);
    fpd_resumable_read(r, fake_request(f), NULL);
}

START_TEST(fields_are_read_by_their_types)
{
    fake_http f;
    fpd_resumable r;

    begin(
        &f, &r,
        "Upload-Draft-Interop-Version: 8\nUpload-Complete: ?1;a=b\nUpload-Offset: 999999999999999\n"
        "Upload-Length: 0\nWant-Repr-Digest: sha-512=3, sha-256=1");
    ck_assert_int_eq(r.version, 8);
    ck_assert(r.says_complete && r.complete && r.has_offset && r.has_length && r.wants_digest);
    ck_assert_uint_eq(r.offset, UINT64_C(999999999999999));
    ck_assert_uint_eq(r.length, 0);
    fake_dispose(&f);
}
END_TEST

START_TEST(what_is_no_field_is_not_there)
{
    static const char *const lines[] = {
        "X: y",
        "Upload-Draft-Interop-Version: 10\nUpload-Complete: 1\nUpload-Offset: -1\nUpload-Length: 1.0",
        "Upload-Draft-Interop-Version: 2\nUpload-Complete: ?1, ?1\nUpload-Offset: ?1\nUpload-Length:",
        "Upload-Draft-Interop-Version: x\nUpload-Complete: \"?1\"\nUpload-Offset: 1000000000000000",
        "Upload-Complete: ?1\nUpload-Complete: ?1\nUpload-Offset: 1\nUpload-Offset: 1\n"
        "Want-Repr-Digest: sha-256=0",
        "Upload-Incomplete: ?1\nWant-Repr-Digest: sha-256=1,\nWant-Repr-Digest: sha-256",
    };

    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        fake_http f;
        fpd_resumable r;

        begin(&f, &r, lines[i]);
        ck_assert_int_eq(r.version, 0);
        ck_assert(!r.says_complete && !r.has_offset && !r.has_length && !r.wants_digest);
        fake_dispose(&f);
    }
}
END_TEST

START_TEST(oldest_dialect_tells_the_contrary)
{
    fake_http f;
    fpd_resumable r;

    begin(&f, &r, "Upload-Draft-Interop-Version: 3\nUpload-Incomplete: ?1\nUpload-Complete: ?1");
    ck_assert(r.says_complete && !r.complete);
    fpd_resumable_show_complete(&r, true);
    ck_assert_ptr_nonnull(strstr(r.rq->headers.data, "Upload-Incomplete: ?0\r\n"));
    fake_dispose(&f);
    begin(&f, &r, "Upload-Draft-Interop-Version: 4\nUpload-Complete: ?0");
    ck_assert(r.says_complete && !r.complete);
    ck_assert(fpd_resumable_is_before(&r, 5) && !fpd_resumable_is_before(&r, 4));
    fake_dispose(&f);
    begin(&f, &r, "Upload-Complete: ?0");
    ck_assert_msg(!fpd_resumable_is_before(&r, 100), "without a version the newest rules hold");
    fake_dispose(&f);
}
END_TEST

START_TEST(digests_of_several_lines_are_one_dictionary)
{
    fake_http f;
    fpd_resumable r;
    const fpd_digest *digest = NULL;
    fpd_digest place;
    char hex[65];

    begin(&f, &r,
          "Content-Digest: sha-512=:AAAA:\nContent-Digest: sha-256=:" SHA256_OF_NOTHING ":\n"
          "Repr-Digest: sha-256=:" SHA256_OF_NOTHING ":");
    ck_assert(fpd_resumable_content_digest(&r, &place, &digest));
    ck_assert_ptr_eq(digest, &place);
    ck_assert_str_eq(place.algorithm, "sha-256");
    ck_assert(fpd_resumable_repr_digest(&r, hex));
    ck_assert_str_eq(hex, HEX_OF_NOTHING);
    fake_dispose(&f);
    begin(&f, &r, "X: y");
    ck_assert(fpd_resumable_content_digest(&r, &place, &digest) && digest == NULL);
    ck_assert(fpd_resumable_repr_digest(&r, hex) && hex[0] == '\0');
    fake_dispose(&f);
}
END_TEST

START_TEST(digest_that_can_not_be_checked_is_answered)
{
    static const char *const lines[] = { "Repr-Digest:", "Repr-Digest: sha-256=:AAAA:",
                                         "Repr-Digest: sha-512=:AAAA:",
                                         "Repr-Digest: md5=:1B2M2Y8AsgTpgAmY7PhCfg==:" };

    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        fake_http f;
        fpd_resumable r;
        char hex[65];

        begin(&f, &r, lines[i]);
        ck_assert(!fpd_resumable_repr_digest(&r, hex));
        ck_assert_int_eq(fake_status(&f), 400);
        ck_assert(fake_sent(&f, "Upload-Complete: ?0\r\n"));
        ck_assert_int_eq(fake_sent(&f, "Want-Repr-Digest: sha-256=10\r\n"), i >= 2);
        fake_dispose(&f);
    }
}
END_TEST

START_TEST(digest_is_shown_to_who_wants_it)
{
    fp_upload upload = { .sha256 = HEX_OF_NOTHING };
    fake_http f;
    fpd_resumable r;

    begin(&f, &r, "X: y");
    fpd_resumable_show_digest(&r, &upload);
    ck_assert_uint_eq(r.rq->headers.size, 0);
    upload.note = FPD_RESUMABLE_WANTS; /* at creation */
    fpd_resumable_show_digest(&r, &upload);
    ck_assert_str_eq(r.rq->headers.data, "Repr-Digest: sha-256=:" SHA256_OF_NOTHING ":\r\n");
    upload.sha256 = NULL;
    fpd_resumable_show_digest(&r, &upload);
    ck_assert_uint_eq(r.rq->headers.size,
                      strlen("Repr-Digest: sha-256=:" SHA256_OF_NOTHING ":\r\n"));
    fake_dispose(&f);
}
END_TEST

RUN_TESTS("resumable_fields", fields_are_read_by_their_types, what_is_no_field_is_not_there,
          oldest_dialect_tells_the_contrary, digests_of_several_lines_are_one_dictionary,
          digest_that_can_not_be_checked_is_answered, digest_is_shown_to_who_wants_it)
