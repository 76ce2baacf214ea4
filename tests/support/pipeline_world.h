/* Owns: a runner with everything under it, and a sink that writes down what it is told, for tests of what runs pipelines.
 * Must not know: what is tested. */
#ifndef TESTS_PIPELINE_WORLD_H
#define TESTS_PIPELINE_WORLD_H

#include <stdbool.h>
#include <sys/types.h>

#include <fileproc/driver/operation_driver.h>
#include <fileproc/pipeline.h>

#include "scratch.h"

#define RAN_MAX 40

/* An output as the sink got it. */
typedef struct ran_output {
    char name[1100];
    char step[80];
    char mime_type[80];
    char info[512];
    char head[16]; /* of its bytes */
    uint64_t size;
    uint32_t number;
} ran_output;

/* What a sink was told, one word each in order: "detected:image/png output:thumb step:thumb ". */
typedef struct ran {
    char order[2048];
    char detected[80];
    char results[RAN_MAX][4096];
    ran_output outputs[RAN_MAX];
    size_t result_count, output_count, ticks;
    const char *fail_at; /* fails at this word of order, with USER */
    void (*on_tick)(void *user_data);
    void *user_data;
    int sink_delay_ms; /* that taking an output takes */
} ran;

typedef struct pipeline_world {
    fp_context *ctx;
    fp_pipelines *pls;
    fp_runner *runner;
    char folder[64];
    int descriptors; /* open before the world was */
} pipeline_world;

/* o may be NULL; its helper_path defaults to the built helper and its temporary_folder to the world's. op may be NULL. */
void pipeline_world_open(pipeline_world *w, const fp_allocator *allocator,
                         const fp_pipelines_options *o, const fp_operation *op);
/* Also checks that no descriptor, no child and no temporary file is left. */
void pipeline_world_close(pipeline_world *w);

/* Runs an inline pipeline (or a named one) on the bytes. */
fp_status pipeline_run(pipeline_world *w, const char *pipeline, const char *filename,
                       const char *mime_type, int fd, ran *r, fp_error *err);
/* The same with every member of input in the caller's hand. */
fp_status pipeline_run_input(pipeline_world *w, const char *pipeline,
                             const fp_pipeline_input *input, ran *r, fp_error *err);

/* An unnamed file with these bytes, at offset 0. */
int sample_file(const void *data, size_t size);
/* A greyscale PNG of this size, all of one colour. */
int sample_png(unsigned width, unsigned height);

/* The pid of the one child of this process; 0 when there is none. Fails when there are more. */
pid_t only_child(void);
/* Until the process is a zombie or gone. */
void await_end(pid_t pid);

#endif
