/* Owns: the tests of daemons/common/metrics.c. */
#include <pthread.h>
#include <string.h>

#include "metrics.h"
#include "runner.h"

static const char *const statuses[] = { "initiated", "completed" };
static const char *const methods[] = { "GET", "PUT" };
static const double bounds[] = { 0.1, 1 };

static const fpd_metric_spec uploads = { .name = "uploads_total",
                                         .help = "Uploads.",
                                         .kind = FPD_COUNTER,
                                         .labels = { { "status", statuses, 2 } } };

static void expect_text(const fpd_metrics *m, const char *wanted)
{
    fpd_text t = FPD_TEXT_INIT(65536);

    fpd_metrics_write(m, &t);
    ck_assert_str_eq(t.data, wanted);
    fpd_text_dispose(&t);
}

START_TEST(counters_show_every_label_value)
{
    fpd_metrics *m = fpd_metrics_new();
    fpd_metric *c = fpd_metrics_add(m, &uploads);

    fpd_metric_count(c, (size_t[]){ 1 }, 3);
    fpd_metric_count(c, (size_t[]){ 1 }, 1);
    expect_text(m,
                "# HELP uploads_total Uploads.\n# TYPE uploads_total counter\n"
                "uploads_total{status=\"initiated\"} 0\nuploads_total{status=\"completed\"} 4\n");
    fpd_metrics_free(m);
}
END_TEST

START_TEST(sparse_ones_show_only_what_happened)
{
    fpd_metric_spec spec = { .name = "r",
                             .help = "h",
                             .kind = FPD_COUNTER,
                             .sparse = 1,
                             .labels = { { "status", statuses, 2 }, { "method", methods, 2 } } };
    fpd_metrics *m = fpd_metrics_new();
    fpd_metric *c = fpd_metrics_add(m, &spec);

    fpd_metric_count(c, (size_t[]){ 1, 0 }, 2);
    expect_text(m, "# HELP r h\n# TYPE r counter\nr{status=\"completed\",method=\"GET\"} 2\n");
    ck_assert_int_eq(fpd_metric_value(c, (size_t[]){ 1, 0 }), 2);
    ck_assert_int_eq(fpd_metric_value(c, (size_t[]){ 0, 1 }), 0);
    fpd_metrics_free(m);
}
END_TEST

START_TEST(gauges_go_up_and_down)
{
    fpd_metric_spec spec = { .name = "g", .help = "h", .kind = FPD_GAUGE };
    fpd_metrics *m = fpd_metrics_new();
    fpd_metric *g = fpd_metrics_add(m, &spec);

    fpd_metric_set(g, NULL, 7);
    fpd_metric_set(g, NULL, 5);
    expect_text(m, "# HELP g h\n# TYPE g gauge\ng 5\n");
    fpd_metrics_free(m);
}
END_TEST

START_TEST(histograms_are_cumulative)
{
    fpd_metric_spec spec = { .name = "d",
                             .help = "h",
                             .kind = FPD_HISTOGRAM,
                             .bounds = bounds,
                             .bound_count = 2,
                             .labels = { { "method", methods, 1 } } };
    fpd_metrics *m = fpd_metrics_new();
    fpd_metric *h = fpd_metrics_add(m, &spec);

    fpd_metric_observe(h, (size_t[]){ 0 }, 0.1);
    fpd_metric_observe(h, (size_t[]){ 0 }, 0.5);
    fpd_metric_observe(h, (size_t[]){ 0 }, 2);
    expect_text(
        m,
        "# HELP d h\n# TYPE d histogram\n"
        "d_bucket{method=\"GET\",le=\"0.1\"} 1\nd_bucket{method=\"GET\",le=\"1\"} 2\n"
        "d_bucket{method=\"GET\",le=\"+Inf\"} 3\nd_sum{method=\"GET\"} 2.6\nd_count{method=\"GET\"} 3\n");
    ck_assert_int_eq(fpd_metric_value(h, (size_t[]){ 0 }), 3);
    fpd_metrics_free(m);
}
END_TEST

START_TEST(a_label_value_that_does_not_exist_counts_nothing)
{
    fpd_metrics *m = fpd_metrics_new();
    fpd_metric *c = fpd_metrics_add(m, &uploads);

    fpd_metric_count(c, (size_t[]){ 2 }, 1);
    fpd_metric_count(c, (size_t[]){ SIZE_MAX }, 1);
    fpd_metric_count(NULL, (size_t[]){ 0 }, 1);
    ck_assert_int_eq(fpd_metric_value(c, (size_t[]){ 0 }), 0);
    ck_assert_int_eq(fpd_metric_value(c, (size_t[]){ 1 }), 0);
    ck_assert_int_eq(fpd_metric_value(c, (size_t[]){ 2 }), 0);
    ck_assert_uint_eq(fpd_label_place(&uploads.labels[0], "completed"), 1);
    ck_assert_uint_eq(fpd_label_place(&uploads.labels[0], "other"), 2);
    fpd_metrics_free(m);
}
END_TEST

static void *count_many(void *metric)
{
    for (int i = 0; i < 20000; i++)
        fpd_metric_count(metric, (size_t[]){ 0 }, 1);
    return NULL;
}

START_TEST(threads_lose_no_count)
{
    fpd_metrics *m = fpd_metrics_new();
    fpd_metric *c = fpd_metrics_add(m, &uploads);
    pthread_t threads[4];

    for (size_t i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, count_many, c), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(fpd_metric_value(c, (size_t[]){ 0 }), 80000);
    fpd_metrics_free(m);
}
END_TEST

RUN_TESTS("metrics", counters_show_every_label_value, sparse_ones_show_only_what_happened,
          gauges_go_up_and_down, histograms_are_cumulative,
          a_label_value_that_does_not_exist_counts_nothing, threads_lose_no_count)
