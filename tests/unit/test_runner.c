/* Owns: the tests of pipeline/runner.c, run_helper.c and output_file.c, with the helper that was built. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fault.h"
#include "pipeline/pipeline_private.h"
#include "pipeline_world.h"
#include "runner.h"

START_TEST(photo_gets_its_facts_and_two_sizes_in_order)
{
    static ran r;
    pipeline_world w;
    fp_error err = { 0 };
    int fd = sample_png(2000, 1000);

    r = (ran){ 0 };
    pipeline_world_open(&w, NULL, NULL, NULL);
    ck_status(pipeline_run(&w, "image", "photo.png", "image/png", fd, &r, &err), FILEPROC_OK, &err);
    ck_assert_str_eq(r.order, "detected:image/png step:info output:thumb step:thumb output:preview "
                              "step:preview ");
    ck_assert_ptr_nonnull(strstr(r.results[0], "image.info image {"));
    ck_assert_ptr_nonnull(strstr(r.results[0], "\"width\":2000"));
    ck_assert_str_eq(r.outputs[0].name, "photo-thumb.webp");
    ck_assert_str_eq(r.outputs[1].name, "photo-preview.webp");
    ck_assert_str_eq(r.outputs[1].mime_type, "image/webp");
    ck_assert_mem_eq(r.outputs[1].head, "RIFF", 4);
    ck_assert_ptr_nonnull(strstr(r.outputs[0].info, "\"width\":256"));
    pipeline_world_close(&w);
    close(fd);
}
END_TEST

RUN_TESTS("runner", photo_gets_its_facts_and_two_sizes_in_order)
