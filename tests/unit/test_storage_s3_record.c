/* Owns: the tests of storage/storage_s3_record.c.
 * Must not know: requests. */
#include <stdio.h>
#include <string.h>

#include "core/buf_private.h"
#include "runner.h"
#include "storage/storage_s3_private.h"

static fpi_s3_record largest(void)
{
    fpi_s3_record r = { .info = FILEPROC_PART_INFO_INIT, .seq = UINT32_MAX };

    r.info.offset = INT64_MAX - 1;
    r.info.length = 1;
    r.info.crc32c = UINT32_MAX;
    r.info.committed_ms = INT64_MAX;
    r.info.note_size = FILEPROC_PART_NOTE_MAX;
    for (size_t i = 0; i < FILEPROC_PART_NOTE_MAX; i++)
        r.info.note[i] = (unsigned char)(i * 7);
    memcpy(r.check, "a123456789abcdef0123456789abcdef", 33);
    r.info.flags = FILEPROC_PART_ADOPTED;
    return r;
}

START_TEST(a_record_comes_back_as_it_was)
{
    fpi_s3_record records[2] = { { .info = FILEPROC_PART_INFO_INIT }, largest() };
    char text[FPI_S3_RECORD_SIZE];

    records[0].info.length = 1;
    for (size_t i = 0; i < 2; i++) {
        fpi_s3_record back;

        fpi_s3_record_format(&records[i], text);
        ck_assert(fpi_s3_record_parse(text, &back));
        ck_assert_mem_eq(&back, &records[i], sizeof(back));
    }
}
END_TEST

START_TEST(the_longest_name_has_room)
{
    fpi_s3_record r = largest();
    char text[FPI_S3_RECORD_SIZE];

    fpi_s3_record_format(&r, text);
    ck_assert_uint_lt(strlen(text), FPI_S3_RECORD_SIZE - 1);
    ck_assert_uint_le(FPI_S3_PREFIX_MAX + strlen(FPI_S3_STAGED) + FPI_KEY_SEGMENT_MAX + 2 +
                          strlen(text),
                      FPI_S3_KEY_MAX);
}
END_TEST

START_TEST(other_names_are_no_records)
{
    static const char *const bad[] = {
        "",
        ".",
        "00000001",
        "00000001.0.0.0.0..",                /* no bytes */
        "00000001.0.1.0.0.",                 /* no note */
        "100000000.0.1.0.0..",               /* the number is too large */
        "00000001.ffffffffffffffff.1.0.0..", /* the offset, too */
        "00000001.7fffffffffffffff.1.0.0..", /* the end is */
        "00000001.0.1.0.0.abc.",             /* half a check */
        "00000001.0.1.0.0.a.",               /* adopted without a check */
        "00000001.0.1.0.0..0",               /* half a byte */
        "00000001.0.1.0.0..0g",
        "0000000G.0.1.0.0..",
        "-1.0.1.0.0..",
    };
    char longest[FPI_S3_RECORD_SIZE] = "00000001.0.1.0.0..";
    fpi_s3_record r;

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        ck_assert_msg(!fpi_s3_record_parse(bad[i], &r), "%s", bad[i]);
    for (size_t i = 0; i < FILEPROC_PART_NOTE_MAX + 1; i++)
        memcpy(longest + strlen(longest), "00", 3);
    ck_assert(!fpi_s3_record_parse(longest, &r));
}
END_TEST

START_TEST(a_state_comes_back_as_it_was)
{
    static fpi_s3_state st, back;
    fp_context *ctx = NULL;
    fp_buf out = FILEPROC_BUF_INIT;

    st.unit = FPI_S3_UNIT_MIN;
    memcpy(st.key, "files/k", 8);
    memset(st.upload, 'u', sizeof(st.upload) - 1);
    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    ck_assert_int_eq(fpi_s3_state_format(ctx, &st, &out, NULL), FILEPROC_OK);
    ck_assert_int_eq(fpi_s3_state_parse(out.data, out.size, &back, NULL), FILEPROC_OK);
    ck_assert_mem_eq(&st, &back, sizeof(st));
    for (size_t cut = 0; cut < out.size; cut++)
        ck_assert_int_eq(fpi_s3_state_parse(out.data, cut, &back, NULL), FILEPROC_ERR_CORRUPT);
    fp_buf_dispose(&out);
    fp_context_free(ctx);
}
END_TEST

RUN_TESTS("storage_s3_record", a_record_comes_back_as_it_was, the_longest_name_has_room,
          other_names_are_no_records, a_state_comes_back_as_it_was)
