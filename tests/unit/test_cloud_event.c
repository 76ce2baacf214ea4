/* Owns: the tests of event/cloud_event.c.
 * Must not know: where events go. */
#include "event/cloud_event.h"

#include <string.h>

#include "core/json.h"
#include "fault.h"
#include "runner.h"
#include "scratch.h"

static const fpi_cloud_event event = {
    "0190-id",    "/here", "fileproc.file.created", "file-1", "{\"size\":12,\"name\":\"\\u00e4\"}",
    1700000000123
};

START_TEST(event_has_every_attribute)
{
    fp_context *ctx = NULL;
    fp_buf text = FILEPROC_BUF_INIT;
    fp_error err = { 0 };

    ck_status(fp_context_new(NULL, &ctx, &err), FILEPROC_OK, &err);
    ck_status(fpi_cloud_event_write(ctx, &event, &text, &err), FILEPROC_OK, &err);
    ck_assert_str_eq(
        text.data, "{\"specversion\":\"1.0\",\"id\":\"0190-id\",\"source\":\"/here\","
                   "\"type\":\"fileproc.file.created\",\"subject\":\"file-1\","
                   "\"time\":\"2023-11-14T22:13:20.123Z\",\"datacontenttype\":\"application/json\","
                   "\"data\":{\"size\":12,\"name\":\"\xc3\xa4\"}}");
    fp_buf_dispose(&text);
    fp_context_free(ctx);
}
END_TEST

START_TEST(damaged_data_goes_as_text)
{
    fpi_cloud_event damaged = event;
    fp_context *ctx = NULL;
    fp_buf text = FILEPROC_BUF_INIT;
    fp_error err = { 0 };

    damaged.data = "{\"size\":";
    ck_status(fp_context_new(NULL, &ctx, &err), FILEPROC_OK, &err);
    ck_status(fpi_cloud_event_write(ctx, &damaged, &text, &err), FILEPROC_OK, &err);
    ck_assert_ptr_nonnull(strstr(text.data, "\"data\":\"{\\\"size\\\":\"}"));
    fp_buf_dispose(&text);
    fp_context_free(ctx);
}
END_TEST

START_TEST(writing_survives_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
        fp_buf text = FILEPROC_BUF_INIT;
        fp_context *ctx = NULL;
        fp_error err = { 0 };

        o.allocator = &f.allocator;
        fault_disarm(&f);
        ck_status(fp_context_new(&o, &ctx, &err), FILEPROC_OK, &err);
        fault_arm(&f);
        fault_judge(&f, fpi_cloud_event_write(ctx, &event, &text, &err), &err);
        fp_buf_dispose(&text);
        fp_context_free(ctx);
    }
}
END_TEST

RUN_TESTS("cloud_event", event_has_every_attribute, damaged_data_goes_as_text,
          writing_survives_every_allocation_failure)
