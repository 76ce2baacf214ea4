/* Owns: the tests of pipeline/runner.c, run_helper.c and output_file.c, with the helper that was built. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fault.h"
#include "pipeline/pipeline_private.h"
#include "pipeline_world.h"
#include "runner.h"

/* A world, a sample, a run of it. The sink is static: it is large. */
typedef struct fixture {
    pipeline_world w;
    fp_error err;
    int fd;
} fixture;

static ran r;

static void begin_with(fixture *f, const fp_pipelines_options *o, const fp_operation *op, int fd)
{
    *f = (fixture){ .fd = -1 };
    r = (ran){ 0 };
    pipeline_world_open(&f->w, NULL, o, op);
    f->fd = fd;
    f->w.descriptors -= 1; /* the sample was there before */
}

static void begin(fixture *f, int fd)
{
    begin_with(f, NULL, NULL, fd);
}

static void end(fixture *f)
{
    close(f->fd);
    pipeline_world_close(&f->w);
}

static fp_status go(fixture *f, const char *pipeline, const char *filename, const char *mime_type)
{
    r = (ran){ .fail_at = r.fail_at, .on_tick = r.on_tick, .user_data = r.user_data };
    f->err = (fp_error){ 0 };
    return pipeline_run(&f->w, pipeline, filename, mime_type, f->fd, &r, &f->err);
}

static void goes(fixture *f, const char *pipeline, const char *filename, const char *mime_type)
{
    ck_status(go(f, pipeline, filename, mime_type), FILEPROC_OK, &f->err);
}

static void pause_ms(long ms)
{
    struct timespec t = { ms / 1000, ms % 1000 * 1000000L };

    nanosleep(&t, NULL);
}

#define INFO "{\"steps\":[{\"name\":\"info\",\"operation\":\"image.info\"}]}"

/* ---- an embedder's operation: what it does is in its params ---- */

static fp_status write_output(const fp_operation_call *call, int number, fp_error *err)
{
    char text[40], info[40];
    int32_t fd;
    fp_status rc;

    snprintf(info, sizeof(info), "{\"n\":%d}", number);
    rc = call->output(call->handle, "text/plain", "txt", info, &fd, err);
    if (rc < 0)
        return rc;
    snprintf(text, sizeof(text), "output %d", number);
    return write(fd, text, strlen(text)) > 0 ? FILEPROC_OK : FILEPROC_ERR_IO;
}

#define SIXTEEN "0123456789abcdef"

static fp_status app_run(const fp_operation_call *call, void *user_data, fp_buf *result,
                         fp_error *err)
{
    const char *outputs = strstr(call->params, "\"outputs\":");
    int count = outputs ? outputs[10] - '0' : 0;
    char text[300];
    int32_t fd;
    fp_status rc = FILEPROC_OK;

    ck_assert_uint_eq(call->struct_size, sizeof(*call));
    ck_assert_ptr_eq(call->ctx, *(fp_context **)user_data);
    ck_assert_int_eq(lseek(call->fd, 0, SEEK_CUR), 0);
    for (int i = 0; rc == FILEPROC_OK && i < count; i++)
        rc = write_output(call, i, err);
    if (rc == FILEPROC_OK && strstr(call->params, "\"ticks\":true"))
        for (int i = 0; rc == FILEPROC_OK && i < 5000; i++) {
            pause_ms(1);
            rc = call->tick(call->handle, err);
        }
    if (strstr(call->params, "\"stubborn\":true"))
        rc = FILEPROC_OK; /* as one that doesn't look at what it is told */
    if (rc < 0)
        return rc;
    if (strstr(call->params, "\"mute\":true"))
        return -12;
    if (strstr(call->params, "\"odd\":true"))
        return 42;
    if (strstr(call->params, "\"invents\":true"))
        return -1234;
    if (strstr(call->params, "\"garbage\":true")) {
        memset(err, 0xFF, sizeof(*err));
        return err->code = FILEPROC_ERR_IO;
    }
    if (strstr(call->params, "\"lost\":true"))
        return call->tick(NULL, err) == FILEPROC_ERR_INVALID
                   ? call->output(NULL, "text/plain", "txt", NULL, &fd, err)
                   : FILEPROC_ERR_IO;
    if (strstr(call->params, "\"endless\":true")) {
        while (fp_buf_append(call->ctx, result, SIXTEEN SIXTEEN SIXTEEN SIXTEEN, 64, err) == 0 &&
               result->size < 9u << 20)
            continue;
        return FILEPROC_OK;
    }
    if (strstr(call->params, "\"babble\":true"))
        return fp_buf_append(call->ctx, result, "[1", 2, err);
    if (strstr(call->params, "\"silent\":true"))
        return FILEPROC_OK;
    (void)!read(call->fd, text, 1);
    snprintf(text, sizeof(text), "{\"name\":\"%s\",\"type\":\"%s\"}", call->filename,
             call->mime_type);
    return fp_buf_append(call->ctx, result, text, strlen(text), err);
}

static fp_context *app_context;
#define FLAG(name) "\"" name "\":{\"type\":\"boolean\"}"
static const fp_operation app_op = {
    FILEPROC_OPERATION_INIT("app.work"),
    .accepts = "image/*,text/*",
    .parameters =
        "{\"type\":\"object\",\"properties\":{\"outputs\":{\"type\":\"integer\"}," FLAG("ticks") "," FLAG("stubborn") "," FLAG("mute") "," FLAG(
            "odd") "," FLAG("babble") "," FLAG("invents") "," FLAG("garbage") "," FLAG("lost") "," FLAG("endless") "," FLAG("silent") "}}",
    .info_key = "work",
    .user_data = &app_context,
    .run = app_run,
};

static void begin_app(fixture *f, int fd)
{
    begin_with(f, NULL, &app_op, fd);
    app_context = f->w.ctx;
}

#define APP(params) "{\"name\":\"app\",\"operation\":\"app.work\",\"params\":{" params "}}"
#define ONLY_APP(params) "{\"steps\":[" APP(params) "]}"

START_TEST(photo_gets_its_facts_and_two_sizes_in_order)
{
    fixture f;

    begin(&f, sample_png(2000, 1000));
    goes(&f, "image", "photo.png", "image/png");
    ck_assert_str_eq(r.order, "detected:image/png step:info output:thumb step:thumb output:preview "
                              "step:preview ");
    ck_assert_ptr_nonnull(strstr(r.results[0], "image.info image {"));
    ck_assert_ptr_nonnull(strstr(r.results[0], "\"width\":2000"));
    ck_assert_ptr_nonnull(strstr(r.results[1], "image.resize - {"));
    ck_assert_str_eq(r.outputs[0].name, "photo-thumb.webp");
    ck_assert_str_eq(r.outputs[1].name, "photo-preview.webp");
    ck_assert_str_eq(r.outputs[1].mime_type, "image/webp");
    ck_assert_mem_eq(r.outputs[1].head, "RIFF", 4);
    ck_assert_ptr_nonnull(strstr(r.outputs[0].info, "\"width\":256"));
    end(&f);
}
END_TEST

START_TEST(type_that_is_known_is_not_looked_for_again)
{
    fp_pipeline_input input = FILEPROC_PIPELINE_INPUT_INIT;
    fixture f;

    begin(&f, sample_png(20, 10));
    input.filename = "x.png";
    input.mime_type = input.detected_mime_type = "image/png";
    input.fd = f.fd;
    ck_status(pipeline_run_input(&f.w, INFO, &input, &r, &f.err), FILEPROC_OK, &f.err);
    ck_assert_str_eq(r.order, "step:info ");
    end(&f);
}
END_TEST

START_TEST(steps_that_are_done_already_are_skipped)
{
    fp_pipeline_input input = FILEPROC_PIPELINE_INPUT_INIT;
    fixture f;

    begin(&f, sample_png(20, 10));
    input.fd = f.fd;
    input.skip_steps = "[\"info\",\"thumb\",\"gone\",7]";
    ck_status(pipeline_run_input(&f.w, "image", &input, &r, &f.err), FILEPROC_OK, &f.err);
    ck_assert_str_eq(r.order, "detected:image/png output:preview step:preview ");
    input.skip_steps = "[\"info\",\"thumb\",\"preview\"]";
    input.detected_mime_type = "image/png";
    r = (ran){ 0 };
    ck_status(pipeline_run_input(&f.w, "image", &input, &r, &f.err), FILEPROC_OK, &f.err);
    ck_assert_str_eq(r.order, "");
    input.skip_steps = "{}";
    ck_status(pipeline_run_input(&f.w, "image", &input, &r, &f.err), FILEPROC_ERR_INVALID, &f.err);
    end(&f);
}
END_TEST

START_TEST(callers_descriptor_keeps_its_offset)
{
    fixture f;

    begin(&f, sample_png(20, 10));
    ck_assert_int_eq(lseek(f.fd, 7, SEEK_SET), 7);
    goes(&f, "image", "x.png", "image/png");
    ck_assert_int_eq(lseek(f.fd, 0, SEEK_CUR), 7);
    end(&f);
}
END_TEST

/* ---- errors ---- */

static void refused(fixture *f, const char *pipeline, const char *type, const char *reason,
                    const char *message)
{
    ck_status(go(f, pipeline, "x", type), FILEPROC_ERR_INVALID, &f->err);
    ck_assert_str_eq(fp_error_reason(&f->err), reason);
    ck_assert_msg(strstr(f->err.message, message), "%s", f->err.message);
    ck_assert_uint_eq(f->err.flags, FILEPROC_ERROR_PERMANENT);
}

START_TEST(text_that_is_called_a_picture_is_a_mismatch_for_good)
{
    fixture f;

    begin(&f, sample_file("This is no picture.\n", 20));
    refused(&f, "image", "image/png", "media_type_mismatch",
            "declared image/png, but the content is text/plain");
    ck_assert_str_eq(r.order, "detected:text/plain ");
    refused(&f, INFO, "text/plain", "media_unsupported", "text/plain");
    end(&f);
}
END_TEST

START_TEST(damaged_picture_fails_for_good_and_the_helper_lives_on)
{
    int whole = sample_png(400, 300), fd;
    char bytes[3000];
    fixture f;
    pid_t pid;

    ck_assert_int_eq(read(whole, bytes, sizeof(bytes)), sizeof(bytes));
    close(whole);
    fd = sample_file(bytes, sizeof(bytes));
    begin(&f, fd);
    refused(&f, "image", "image/png", "media_damaged", "damaged");
    ck_assert_str_eq(r.order, "detected:image/png step:info ");
    pid = only_child();
    goes(&f, INFO, "x", "image/png");
    ck_assert_int_eq(only_child(), pid);
    end(&f);
}
END_TEST

START_TEST(picture_over_the_limit_is_refused_before_it_is_decoded)
{
    fp_pipelines_options o = FILEPROC_PIPELINES_OPTIONS_INIT;
    fixture f;

    o.max_pixels = 5000;
    begin_with(&f, &o, NULL, sample_png(100, 100));
    refused(&f, "image", "image/png", "media_too_large", "");
    end(&f);
}
END_TEST

START_TEST(output_over_the_limit_fails_for_good)
{
    fp_pipelines_options o = FILEPROC_PIPELINES_OPTIONS_INIT;
    fixture f;

    o.max_output_bytes = 500;
    begin_with(&f, &o, NULL, sample_png(200, 100));
    refused(&f, "{\"steps\":[{\"operation\":\"image.convert\",\"params\":{\"format\":\"tiff\"}}]}",
            "image/png", "output_too_large", "");
    end(&f);
}
END_TEST

START_TEST(helper_without_memory_says_so)
{
/* The sanitizers reserve terabytes, so there is no limit under them. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    fp_pipelines_options o = FILEPROC_PIPELINES_OPTIONS_INIT;
    fixture f;
    fp_status rc;

    o.helper_memory_bytes = UINT64_C(350) << 20; /* the libraries alone map half of it */
    begin_with(&f, &o, NULL, sample_png(9000, 9000));
    rc = go(&f, "{\"steps\":[{\"operation\":\"image.convert\",\"params\":{\"format\":\"avif\"}}]}",
            "x", "image/png");
    ck_assert_msg(rc == FILEPROC_ERR_IO, "%d: %s", rc, f.err.message);
    ck_assert_str_eq(fp_error_reason(&f.err), "helper_memory");
    ck_assert_uint_eq(f.err.flags & FILEPROC_ERROR_PERMANENT, 0);
    end(&f);
#endif
}
END_TEST

static fp_status raw(fixture *f, const char *pipeline, int fd)
{
    fp_pipeline_input input = FILEPROC_PIPELINE_INPUT_INIT;
    fp_pipeline_sink sink = FILEPROC_PIPELINE_SINK_INIT;

    input.fd = fd;
    f->err = (fp_error){ 0 };
    return fp_runner_run(f->w.runner, pipeline, &input, &sink, &f->err);
}

START_TEST(bad_calls_are_refused)
{
    fp_pipeline_input input = FILEPROC_PIPELINE_INPUT_INIT;
    fp_pipeline_sink sink = FILEPROC_PIPELINE_SINK_INIT;
    fixture f;
    int ends[2];

    begin(&f, sample_png(20, 10));
    ck_assert_int_eq(fp_runner_new(NULL, NULL, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_runner_run(NULL, INFO, &input, &sink, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_runner_run(f.w.runner, NULL, &input, &sink, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_runner_run(f.w.runner, INFO, NULL, &sink, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_runner_run(f.w.runner, INFO, &input, NULL, NULL), FILEPROC_ERR_INVALID);
    fp_runner_free(NULL);
    fp_runner_cancel(NULL);
    ck_assert_int_eq(raw(&f, INFO, -1), FILEPROC_ERR_IO);
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(raw(&f, INFO, ends[0]), FILEPROC_ERR_INVALID);
    close(ends[0]);
    close(ends[1]);
    ck_assert_int_eq(raw(&f, "{", f.fd), FILEPROC_ERR_INVALID);
    ck_assert_str_eq(fp_error_reason(&f.err), "pipeline_invalid");
    ck_assert_uint_eq(f.err.flags, FILEPROC_ERROR_PERMANENT);
    ck_assert_int_eq(raw(&f, "{\"steps\":[{\"operation\":\"image.sing\"}]}", f.fd),
                     FILEPROC_ERR_INVALID);
    ck_assert_str_eq(fp_error_reason(&f.err), "operation_unknown");
    ck_status(raw(&f, INFO, f.fd), FILEPROC_OK, &f.err); /* a sink with nothing in it */
    end(&f);
}
END_TEST

START_TEST(sink_that_fails_ends_the_run_and_not_the_runner)
{
    static const char *const words[] = { "detected:image/png", "step:info", "output:thumb",
                                         "step:preview" };
    fixture f;

    begin(&f, sample_png(400, 300));
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        r.fail_at = words[i];
        ck_status(go(&f, "image", "x", "image/png"), FILEPROC_ERR_USER, &f.err);
        ck_assert_ptr_nonnull(strstr(f.err.message, words[i]));
        r.fail_at = NULL;
        goes(&f, "image", "x", "image/png");
    }
    end(&f);
}
END_TEST

/* ---- the helper's life ---- */

START_TEST(hundred_runs_share_one_helper_and_then_it_is_replaced)
{
    fixture f;
    pid_t pid = 0;

    begin(&f, sample_png(20, 10));
    for (int i = 0; i < 100; i++) {
        if (i > 0)
            ck_assert_int_eq(only_child(), pid);
        goes(&f, INFO, "x", "image/png");
        pid = i > 0 ? pid : only_child();
    }
    ck_assert_int_eq(only_child(), 0);
    goes(&f, INFO, "x", "image/png");
    ck_assert_int_ne(only_child(), pid);
    end(&f);
}
END_TEST

START_TEST(helper_that_is_killed_while_idle_is_replaced_unnoticed)
{
    fixture f;
    pid_t pid;

    begin(&f, sample_png(20, 10));
    for (int i = 0; i < 10; i++) {
        goes(&f, INFO, "x", "image/png");
        pid = only_child();
        kill(pid, SIGKILL);
        if (i % 2)
            await_end(pid); /* else the run may find it dying */
    }
    goes(&f, INFO, "x", "image/png");
    end(&f);
}
END_TEST

static void kill_helper(void *user_data)
{
    (void)user_data;
    kill(only_child(), SIGKILL);
}

START_TEST(helper_that_is_killed_while_it_works_is_a_crash)
{
    fp_pipelines_options o = FILEPROC_PIPELINES_OPTIONS_INIT;
    fixture f;

    o.max_pixels = UINT64_C(1) << 40;
    begin_with(&f, &o, NULL, sample_png(8000, 8000));
    r.on_tick = kill_helper;
    ck_status(go(&f,
                 "{\"steps\":[{\"name\":\"big\",\"operation\":\"image.convert\",\"params\":"
                 "{\"format\":\"avif\"}}]}",
                 "x", "image/png"),
              FILEPROC_ERR_IO, &f.err);
    ck_assert_str_eq(fp_error_reason(&f.err), "helper_crashed");
    ck_assert_str_eq(f.err.message, "the helper crashed in step big: SIGKILL");
    end(&f);
}
END_TEST

/* The child makes a runner, tells its helper's pid, and waits to be killed. */
static void be_embedder(int out)
{
    fixture f;
    pid_t pid;

    begin(&f, sample_png(20, 10));
    goes(&f, INFO, "x", "image/png");
    pid = only_child();
    (void)!write(out, f.w.folder, sizeof(f.w.folder));
    (void)!write(out, &pid, sizeof(pid));
    for (;;)
        pause();
}

START_TEST(helper_ends_when_its_parent_is_killed)
{
    pid_t embedder, helper = 0;
    char folder[64];
    int ends[2];

    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    embedder = fork();
    if (embedder == 0)
        be_embedder(ends[1]);
    ck_assert_int_eq(read(ends[0], folder, sizeof(folder)), sizeof(folder));
    ck_assert_int_eq(read(ends[0], &helper, sizeof(helper)), sizeof(helper));
    ck_assert_int_gt(helper, 0);
    ck_assert_int_eq(kill(helper, 0), 0);
    kill(embedder, SIGKILL);
    ck_assert_int_eq(waitpid(embedder, NULL, 0), embedder);
    await_end(helper);
    scratch_remove(folder);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

/* ---- cancel ---- */

static void *cancel_soon(void *runner)
{
    pause_ms(100);
    fp_runner_cancel(runner);
    return NULL;
}

static void cancelled_by_a_thread(fixture *f, const char *pipeline)
{
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, cancel_soon, f->w.runner), 0);
    ck_status(go(f, pipeline, "x", "image/png"), FILEPROC_ERR_CANCELLED, &f->err);
    pthread_join(thread, NULL);
    ck_status(go(f, INFO, "x", "image/png"), FILEPROC_ERR_CANCELLED, &f->err);
}

START_TEST(cancel_of_another_thread_stops_a_helper_and_every_later_run)
{
    fp_pipelines_options o = FILEPROC_PIPELINES_OPTIONS_INIT;
    struct timespec start, stop;
    fixture f;

    o.max_pixels = UINT64_C(1) << 40;
    begin_with(&f, &o, NULL, sample_png(8000, 8000));
    clock_gettime(CLOCK_MONOTONIC, &start);
    cancelled_by_a_thread(
        &f, "{\"steps\":[{\"operation\":\"image.convert\",\"params\":{\"format\":\"avif\"}}]}");
    clock_gettime(CLOCK_MONOTONIC, &stop);
    ck_assert_int_le(stop.tv_sec - start.tv_sec, 5);
    end(&f);
}
END_TEST

START_TEST(cancel_stops_an_embedders_operation_at_its_next_tick)
{
    fixture f;

    begin_app(&f, sample_png(20, 10));
    goes(&f, INFO, "x", "image/png");
    cancelled_by_a_thread(&f, ONLY_APP("\"ticks\":true"));
    end(&f);
}
END_TEST

/* ---- operations of the embedder ---- */

START_TEST(type_is_found_first_for_an_embedders_operation_too)
{
    fixture f;

    begin_app(&f, sample_png(20, 10));
    ck_assert_int_eq(lseek(f.fd, 5, SEEK_SET), 5);
    goes(&f, ONLY_APP("\"outputs\":1"), "x.png", "application/octet-stream");
    ck_assert_str_eq(r.order, "detected:image/png output:app step:app ");
    ck_assert_str_eq(r.results[0], "app.work - {\"name\":\"x.png\",\"type\":\"image/png\"}");
    ck_assert_str_eq(r.outputs[0].name, "x-app.txt");
    ck_assert_str_eq(r.outputs[0].head, "output 0");
    ck_assert_str_eq(r.outputs[0].info, "{\"n\":0}");
    goes(&f, ONLY_APP("\"silent\":true"), "x.png", "image/png");
    ck_assert_str_eq(r.results[0], "app.work - {}");
    end(&f);
}
END_TEST

START_TEST(only_results_of_the_default_parameters_are_facts_of_the_file)
{
    static const fp_operation strict = {
        FILEPROC_OPERATION_INIT("app.work"),
        .accepts = "image/*",
        .parameters =
            "{\"type\":\"object\",\"required\":[\"silent\"],\"properties\":{" FLAG("silent") "}}",
        .info_key = "work",
        .user_data = &app_context,
        .run = app_run,
    };
    static const fp_operation lax = {
        FILEPROC_OPERATION_INIT("app.work"),
        .accepts = "image/*",
        .parameters = "{\"type\":\"object\",\"properties\":{\"silent\":{\"type\":\"boolean\","
                      "\"default\":true}}}",
        .info_key = "work",
        .user_data = &app_context,
        .run = app_run,
    };
    fixture f;

    begin_with(&f, NULL, &lax, sample_png(20, 10));
    app_context = f.w.ctx;
    goes(&f, ONLY_APP(""), "x", "image/png");
    ck_assert_str_eq(r.results[0], "app.work work {}");
    goes(&f, ONLY_APP("\"silent\":true"), "x", "image/png");
    ck_assert_str_eq(r.results[0], "app.work work {}");
    goes(&f, ONLY_APP("\"silent\":false"), "x", "image/png");
    ck_assert_str_eq(r.results[0], "app.work - {\"name\":\"x\",\"type\":\"image/png\"}");
    end(&f);
    /* What can't run without parameters has no defaults. */
    begin_with(&f, NULL, &strict, sample_png(20, 10));
    app_context = f.w.ctx;
    goes(&f, ONLY_APP("\"silent\":true"), "x", "image/png");
    ck_assert_str_eq(r.results[0], "app.work work {}");
    end(&f);
}
END_TEST

START_TEST(several_outputs_of_one_step_are_numbered)
{
    fixture f;

    begin_app(&f, sample_png(20, 10));
    goes(&f, ONLY_APP("\"outputs\":3"), "x.png", "image/png");
    ck_assert_uint_eq(r.output_count, 3);
    for (unsigned i = 0; i < 3; i++) {
        char name[20];

        snprintf(name, sizeof(name), "x-app-%u.txt", i + 1);
        ck_assert_str_eq(r.outputs[i].name, name);
        ck_assert_uint_eq(r.outputs[i].number, i);
        ck_assert_uint_eq(r.outputs[i].size, 8);
    }
    end(&f);
}
END_TEST

START_TEST(helpers_and_embedders_steps_go_in_the_order_of_the_pipeline)
{
    fixture f;
    pid_t pid;

    begin_app(&f, sample_png(20, 10));
    goes(&f,
         "{\"steps\":[{\"name\":\"one\",\"operation\":\"image.info\"}," APP(
             "") ",{\"name\":\"two\","
                 "\"operation\":\"image.resize\",\"params\":{\"width\":5}}]}",
         "x.png", "image/png");
    ck_assert_str_eq(r.order, "detected:image/png step:one step:app output:two step:two ");
    pid = only_child();
    ck_assert_int_ne(pid, 0);
    end(&f);
}
END_TEST

START_TEST(embedders_operation_gets_no_file_of_a_type_it_does_not_take)
{
    fixture f;

    begin_app(&f, sample_file("%PDF-1.4\n%%EOF\n", 15));
    refused(&f, ONLY_APP(""), "image/png", "media_type_mismatch",
            "declared image/png, but the content is application/pdf");
    refused(&f, ONLY_APP(""), "application/pdf", "media_unsupported",
            "app.work can't read application/pdf");
    end(&f);
}
END_TEST

START_TEST(embedders_mistakes_are_errors_with_a_text)
{
    fixture f;

    begin_app(&f, sample_png(20, 10));
    ck_status(go(&f, ONLY_APP("\"mute\":true"), "x", "image/png"), FILEPROC_ERR_IO, &f.err);
    ck_assert_str_eq(f.err.message, "app.work failed");
    ck_status(go(&f, ONLY_APP("\"odd\":true"), "x", "image/png"), FILEPROC_ERR_USER, &f.err);
    ck_assert_int_eq(f.err.cause, 42);
    ck_status(go(&f, ONLY_APP("\"babble\":true"), "x", "image/png"), FILEPROC_ERR_PROTOCOL, &f.err);
    ck_assert_uint_ne(f.err.flags & FILEPROC_ERROR_PERMANENT, 0);
    ck_status(go(&f, ONLY_APP("\"invents\":true"), "x", "image/png"), FILEPROC_ERR_USER, &f.err);
    ck_assert_int_eq(f.err.cause, -1234);
    ck_status(go(&f, ONLY_APP("\"garbage\":true"), "x", "image/png"), FILEPROC_ERR_IO, &f.err);
    ck_assert_uint_eq(strspn(f.err.message, "?"), sizeof(f.err.message) - 1);
    ck_assert_str_eq(fp_error_reason(&f.err), "io");
    ck_assert_ptr_nonnull(memchr(f.err.domain, 0, sizeof(f.err.domain)));
    ck_status(go(&f, ONLY_APP("\"lost\":true"), "x", "image/png"), FILEPROC_ERR_INVALID, &f.err);
    refused(&f, ONLY_APP("\"endless\":true"), "image/png", "output_too_large",
            "the result of operation app.work is over 8 MiB");
    r.fail_at = "tick";
    ck_status(go(&f, ONLY_APP("\"ticks\":true,\"stubborn\":true"), "x", "image/png"),
              FILEPROC_ERR_CONFLICT, &f.err);
    ck_assert_str_eq(f.err.message, "the lease is lost");
    r.fail_at = "output:app";
    ck_status(go(&f, ONLY_APP("\"outputs\":2,\"stubborn\":true"), "x", "image/png"),
              FILEPROC_ERR_USER, &f.err);
    end(&f);
}
END_TEST

/* ---- faults ---- */

START_TEST(runner_survives_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        pipeline_world w;
        fp_runner *runner = NULL;
        fp_error err = { 0 };
        fp_status rc;

        fault_disarm(&f);
        pipeline_world_open(&w, &f.allocator, NULL, NULL);
        fault_arm(&f);
        rc = fp_runner_new(w.pls, &runner, &err);
        fault_judge(&f, rc, &err);
        if (rc < 0)
            ck_assert_ptr_null(runner);
        fp_runner_free(runner);
        pipeline_world_close(&w);
    }
}
END_TEST

START_TEST(run_survives_every_allocation_failure)
{
    static const char pipeline[] = "{\"steps\":[{\"name\":\"small\",\"operation\":\"image.resize\","
                                   "\"params\":{\"width\":5}}," APP("\"outputs\":2") "]}";
    fault f;

    FAULT_LOOP(&f)
    {
        fp_buf resolved = FILEPROC_BUF_INIT;
        fp_pipeline_input input = FILEPROC_PIPELINE_INPUT_INIT;
        fp_pipeline_sink sink = FILEPROC_PIPELINE_SINK_INIT;
        pipeline_world w;
        fp_error err = { 0 };
        fp_status rc;

        fault_disarm(&f);
        pipeline_world_open(&w, &f.allocator, NULL, &app_op);
        app_context = w.ctx;
        input.fd = sample_png(20, 10);
        ck_status(fp_pipelines_resolve(w.pls, pipeline, NULL, &resolved, &err), FILEPROC_OK, &err);
        fault_arm(&f);
        rc = fp_runner_run(w.runner, resolved.data, &input, &sink, &err);
        fault_judge(&f, rc, &err);
        ck_status(fp_runner_run(w.runner, resolved.data, &input, &sink, &err), FILEPROC_OK, &err);
        fp_buf_dispose(&resolved);
        close(input.fd);
        pipeline_world_close(&w);
    }
}
END_TEST

START_TEST(missing_temporary_folder_is_an_error)
{
    fp_pipelines_options o = FILEPROC_PIPELINES_OPTIONS_INIT;
    fixture f;

    o.temporary_folder = "/nowhere/at/all";
    begin_with(&f, &o, NULL, sample_png(20, 10));
    ck_status(go(&f, "image", "x", "image/png"), FILEPROC_ERR_IO, &f.err);
    ck_assert_ptr_nonnull(strstr(f.err.message, "making a temporary file"));
    end(&f);
}
END_TEST

/* From here on this process has a kernel that knows no O_TMPFILE. */
static void forbid_unnamed_files(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_TMPFILE & ~O_DIRECTORY, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

    ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

START_TEST(file_systems_without_unnamed_files_will_do)
{
    fixture f;

    forbid_unnamed_files();
    ck_assert_int_eq(open("/tmp", O_TMPFILE | O_RDWR, 0600), -1);
    begin(&f, sample_png(400, 300));
    goes(&f, "image", "photo.png", "image/png");
    ck_assert_uint_eq(r.output_count, 2);
    end(&f);
}
END_TEST

RUN_TESTS("runner", photo_gets_its_facts_and_two_sizes_in_order,
          type_that_is_known_is_not_looked_for_again, steps_that_are_done_already_are_skipped,
          callers_descriptor_keeps_its_offset, text_that_is_called_a_picture_is_a_mismatch_for_good,
          damaged_picture_fails_for_good_and_the_helper_lives_on,
          picture_over_the_limit_is_refused_before_it_is_decoded,
          output_over_the_limit_fails_for_good, helper_without_memory_says_so,
          bad_calls_are_refused, sink_that_fails_ends_the_run_and_not_the_runner,
          hundred_runs_share_one_helper_and_then_it_is_replaced,
          helper_that_is_killed_while_idle_is_replaced_unnoticed,
          helper_that_is_killed_while_it_works_is_a_crash, helper_ends_when_its_parent_is_killed,
          cancel_of_another_thread_stops_a_helper_and_every_later_run,
          cancel_stops_an_embedders_operation_at_its_next_tick,
          type_is_found_first_for_an_embedders_operation_too,
          only_results_of_the_default_parameters_are_facts_of_the_file,
          several_outputs_of_one_step_are_numbered,
          helpers_and_embedders_steps_go_in_the_order_of_the_pipeline,
          embedders_operation_gets_no_file_of_a_type_it_does_not_take,
          embedders_mistakes_are_errors_with_a_text, runner_survives_every_allocation_failure,
          run_survives_every_allocation_failure, missing_temporary_folder_is_an_error,
          file_systems_without_unnamed_files_will_do)
