/* Owns: a runner with everything under it, and a sink that writes down what it is told.
 * Must not know: what is tested. */
#include "pipeline_world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <check.h>

static int count_entries(const char *path)
{
    DIR *folder = opendir(path);
    int count = 0;

    ck_assert_ptr_nonnull(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

void pipeline_world_open(pipeline_world *w, const fp_allocator *allocator,
                         const fp_pipelines_options *opts, const fp_operation *op)
{
    fp_context_options c = FILEPROC_CONTEXT_OPTIONS_INIT;
    fp_pipelines_options o = FILEPROC_PIPELINES_OPTIONS_INIT;
    fp_error err = { 0 };

    *w = (pipeline_world){ .descriptors = count_entries("/proc/self/fd") };
    if (opts)
        o = *opts;
    scratch_make(w->folder);
    if (!o.helper_path)
        o.helper_path = HELPER_PATH;
    if (!o.temporary_folder)
        o.temporary_folder = w->folder;
    c.allocator = allocator;
    ck_status(fp_context_new(&c, &w->ctx, &err), FILEPROC_OK, &err);
    if (op)
        ck_status(fp_context_add_operation(w->ctx, op, &err), FILEPROC_OK, &err);
    ck_status(fp_pipelines_open(w->ctx, &o, &w->pls, &err), FILEPROC_OK, &err);
    ck_status(fp_runner_new(w->pls, &w->runner, &err), FILEPROC_OK, &err);
}

void pipeline_world_close(pipeline_world *w)
{
    fp_runner_free(w->runner);
    fp_pipelines_free(w->pls);
    fp_context_free(w->ctx);
    ck_assert_msg(count_entries(w->folder) == 2, "a temporary file is left in %s", w->folder);
    scratch_remove(w->folder);
    ck_assert_int_eq(only_child(), 0);
    ck_assert_int_eq(count_entries("/proc/self/fd"), w->descriptors);
}

/* Writes the word down; fails where the test wants it. */
static fp_status told(ran *r, const char *kind, const char *name, fp_error *err)
{
    char word[120];

    snprintf(word, sizeof(word), "%s:%s", kind, name);
    if (r->fail_at && strcmp(r->fail_at, word) == 0)
        return fp_error_setf(err, FILEPROC_ERR_USER, "the test fails %s", word);
    snprintf(r->order + strlen(r->order), sizeof(r->order) - strlen(r->order), "%s ", word);
    return FILEPROC_OK;
}

static fp_status on_detected(void *user_data, const char *mime_type, fp_error *err)
{
    ran *r = user_data;

    snprintf(r->detected, sizeof(r->detected), "%s", mime_type);
    return told(r, "detected", mime_type, err);
}

static fp_status on_output(void *user_data, const fp_pipeline_output *o, fp_error *err)
{
    ran *r = user_data;
    struct timespec delay = { r->sink_delay_ms / 1000, r->sink_delay_ms % 1000 * 1000000L };
    ran_output *to = &r->outputs[r->output_count++ % RAN_MAX];

    ck_assert_uint_eq(o->struct_size, sizeof(*o));
    if (r->sink_delay_ms)
        nanosleep(&delay, NULL);
    snprintf(to->name, sizeof(to->name), "%s", o->filename);
    snprintf(to->step, sizeof(to->step), "%s", o->step);
    snprintf(to->mime_type, sizeof(to->mime_type), "%s", o->mime_type);
    snprintf(to->info, sizeof(to->info), "%s", o->info);
    memset(to->head, 0, sizeof(to->head));
    ck_assert_int_ge(read(o->fd, to->head, sizeof(to->head) - 1), 0);
    ck_assert_int_eq(lseek(o->fd, 0, SEEK_END), (off_t)o->size);
    to->size = o->size;
    to->number = o->number;
    return told(r, "output", o->step, err);
}

static fp_status on_step(void *user_data, const char *step, const char *operation,
                         const char *info_key, const char *result, fp_error *err)
{
    ran *r = user_data;
    char *to = r->results[r->result_count++ % RAN_MAX];

    snprintf(to, sizeof(r->results[0]), "%s %s %s", operation, info_key ? info_key : "-", result);
    return told(r, "step", step, err);
}

static fp_status on_tick(void *user_data, fp_error *err)
{
    ran *r = user_data;

    r->ticks++;
    if (r->on_tick)
        r->on_tick(r->user_data);
    if (r->fail_at && strcmp(r->fail_at, "tick") == 0)
        return fp_error_setf(err, FILEPROC_ERR_CONFLICT, "the lease is lost");
    return FILEPROC_OK;
}

fp_status pipeline_run_input(pipeline_world *w, const char *pipeline,
                             const fp_pipeline_input *input, ran *r, fp_error *err)
{
    fp_pipeline_sink sink = FILEPROC_PIPELINE_SINK_INIT;
    fp_buf resolved = FILEPROC_BUF_INIT;
    fp_status rc = fp_pipelines_resolve(w->pls, pipeline, NULL, &resolved, err);

    sink.user_data = r;
    sink.detected = on_detected;
    sink.output = on_output;
    sink.step_done = on_step;
    sink.tick = on_tick;
    if (rc == FILEPROC_OK)
        rc = fp_runner_run(w->runner, resolved.data, input, &sink, err);
    fp_buf_dispose(&resolved);
    return rc;
}

fp_status pipeline_run(pipeline_world *w, const char *pipeline, const char *filename,
                       const char *mime_type, int fd, ran *r, fp_error *err)
{
    fp_pipeline_input input = FILEPROC_PIPELINE_INPUT_INIT;

    input.filename = filename;
    input.mime_type = mime_type;
    input.fd = fd;
    return pipeline_run_input(w, pipeline, &input, r, err);
}

int sample_file(const void *data, size_t size)
{
    int fd = memfd_create("sample", MFD_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
    ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

pid_t only_child(void)
{
    char path[64], text[256] = "";
    FILE *f;
    int first = 0, second = 0;

    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
    f = fopen(path, "re");
    ck_assert_ptr_nonnull(f);
    if (!fgets(text, sizeof(text), f))
        text[0] = '\0';
    fclose(f);
    ck_assert_msg(sscanf(text, "%d %d", &first, &second) < 2, "children: %s", text);
    return first;
}

void await_end(pid_t pid)
{
    char path[64], state = 'R';

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    for (int i = 0; i < 5000; i++) {
        struct timespec ms = { 0, 1000000L };
        FILE *f = fopen(path, "re");

        if (!f)
            return;
        if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
            state = 'R';
        fclose(f);
        if (state == 'Z' || state == 'X')
            return;
        nanosleep(&ms, NULL);
    }
    ck_abort_msg("process %d did not end", (int)pid);
}

typedef struct png {
    unsigned char *bytes;
    size_t size;
} png;

static void put(png *p, const void *data, size_t size)
{
    memcpy(p->bytes + p->size, data, size);
    p->size += size;
}

static void put32(png *p, uint32_t n)
{
    const unsigned char big[] = { (unsigned char)(n >> 24), (unsigned char)(n >> 16),
                                  (unsigned char)(n >> 8), (unsigned char)n };

    put(p, big, 4);
}

static uint32_t crc32_of(const unsigned char *data, size_t size)
{
    uint32_t crc = ~0u;

    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

/* The chunk's type and data begin at `start`. */
static void end_chunk(png *p, size_t start)
{
    put32(p, crc32_of(p->bytes + start, p->size - start));
}

/* Rows in blocks that are stored, not compressed: one per row. */
static void put_rows(png *p, unsigned width, unsigned height)
{
    size_t start = p->size + 4;
    uint32_t a = 1, b = 0;

    put32(p, 2 + height * (5 + 1 + width) + 4);
    put(p, "IDAT\x78\x01", 6);
    for (unsigned y = 0; y < height; y++) {
        unsigned length = width + 1;
        const unsigned char head[] = { y + 1 == height, (unsigned char)length,
                                       (unsigned char)(length >> 8), (unsigned char)~length,
                                       (unsigned char)(~length >> 8) };

        put(p, head, sizeof(head));
        for (unsigned x = 0; x < length; x++) {
            unsigned char value = x == 0 ? 0 : 128;

            put(p, &value, 1);
            a = (a + value) % 65521;
            b = (b + a) % 65521;
        }
    }
    put32(p, b << 16 | a);
    end_chunk(p, start);
}

int sample_png(unsigned width, unsigned height)
{
    png p = { malloc(100 + (size_t)height * (width + 6)), 0 };
    size_t start;
    int fd;

    ck_assert_ptr_nonnull(p.bytes);
    put(&p, "\x89PNG\r\n\x1A\n", 8);
    put32(&p, 13);
    start = p.size;
    put(&p, "IHDR", 4);
    put32(&p, width);
    put32(&p, height);
    put(&p, "\x08\0\0\0\0", 5);
    end_chunk(&p, start);
    put_rows(&p, width, height);
    put32(&p, 0);
    start = p.size;
    put(&p, "IEND", 4);
    end_chunk(&p, start);
    fd = sample_file(p.bytes, p.size);
    free(p.bytes);
    return fd;
}
