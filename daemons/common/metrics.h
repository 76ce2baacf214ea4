/* Owns: counters, gauges and histograms with closed label sets, and their Prometheus text form.
 * Must not know: what is measured. */
#ifndef FPD_METRICS_H
#define FPD_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "text.h"

#define FPD_LABELS_MAX 3u
#define FPD_BUCKETS_MAX 16u

typedef enum fpd_metric_kind { FPD_COUNTER, FPD_GAUGE, FPD_HISTOGRAM } fpd_metric_kind;

/** A label and every value it can have: nothing from outside ever becomes a label. Borrowed for ever. */
typedef struct fpd_label {
    const char *name;
    const char *const *values;
    size_t count;
} fpd_label;

/** What a metric is. Text is borrowed for ever. */
typedef struct fpd_metric_spec {
    const char *name, *help;
    fpd_metric_kind kind;
    fpd_label labels[FPD_LABELS_MAX]; /* name NULL = no more */
    const double *bounds;             /* histogram: upper bounds in seconds, ascending */
    size_t bound_count;
    int sparse; /* 1: combinations never seen are not shown */
} fpd_metric_spec;

typedef struct fpd_metric fpd_metric;
/** All metrics of a daemon. Metrics are added before threads start; then any thread may count and read. */
typedef struct fpd_metrics fpd_metrics;

/** NULL when out of memory. */
fpd_metrics *fpd_metrics_new(void);
void fpd_metrics_free(fpd_metrics *m);
FPD_DEFINE_CLEANUP(fpd_metrics, fpd_metrics_free)

/** Adds a metric; NULL when out of memory. Owned by m. */
fpd_metric *fpd_metrics_add(fpd_metrics *m, const fpd_metric_spec *spec);

/** Places of the label values, one per label; a place that does not exist counts nothing. NULL metric: nothing. */
void fpd_metric_count(fpd_metric *metric, const size_t *places, uint64_t amount);
void fpd_metric_set(fpd_metric *metric, const size_t *places, int64_t value);
void fpd_metric_observe(fpd_metric *metric, const size_t *places, double seconds);

/** The value of a counter or gauge; for a histogram how many were observed. */
int64_t fpd_metric_value(const fpd_metric *metric, const size_t *places);

/** The place of a label value by its text; label.count when it has none. */
size_t fpd_label_place(const fpd_label *label, const char *value);

/** Appends everything in the text exposition format 0.0.4. */
void fpd_metrics_write(const fpd_metrics *m, fpd_text *out);

#endif
