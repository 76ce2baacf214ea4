/* Owns: counters, gauges and histograms with closed label sets, and their Prometheus text form.
 * Must not know: what is measured. */
#include "metrics.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* One combination of label values. A histogram has bound_count + 2 of them: a cell per bucket, the one above the last
 * bound, and the sum in nanoseconds. */
typedef _Atomic int64_t cell;

struct fpd_metric {
    fpd_metric_spec spec;
    size_t label_count, combinations, width;
    fpd_metric *next;
    cell cells[];
};

struct fpd_metrics {
    fpd_metric *first, **last;
};

fpd_metrics *fpd_metrics_new(void)
{
    fpd_metrics *m = calloc(1, sizeof(*m));

    if (m)
        m->last = &m->first;
    return m;
}

void fpd_metrics_free(fpd_metrics *m)
{
    while (m && m->first) {
        fpd_metric *next = m->first->next;

        free(m->first);
        m->first = next;
    }
    free(m);
}

fpd_metric *fpd_metrics_add(fpd_metrics *m, const fpd_metric_spec *spec)
{
    size_t labels = 0, combinations = 1;
    size_t width = spec->kind == FPD_HISTOGRAM ? spec->bound_count + 2 : 1;
    fpd_metric *metric;

    for (; labels < FPD_LABELS_MAX && spec->labels[labels].name; labels++)
        if (__builtin_mul_overflow(combinations, spec->labels[labels].count, &combinations))
            return NULL;
    if (combinations > 1000000 || width > FPD_BUCKETS_MAX + 2)
        return NULL;
    metric = calloc(1, sizeof(*metric) + combinations * width * sizeof(cell));
    if (!metric)
        return NULL;
    metric->spec = *spec;
    metric->label_count = labels;
    metric->combinations = combinations;
    metric->width = width;
    *m->last = metric;
    m->last = &metric->next;
    return metric;
}

size_t fpd_label_place(const fpd_label *label, const char *value)
{
    for (size_t i = 0; i < label->count; i++)
        if (strcmp(label->values[i], value) == 0)
            return i;
    return label->count;
}

static size_t combination(const fpd_metric *metric, const size_t *places)
{
    size_t n = 0;

    for (size_t i = 0; i < metric->label_count; i++) {
        if (places[i] >= metric->spec.labels[i].count)
            return metric->combinations;
        n = n * metric->spec.labels[i].count + places[i];
    }
    return n;
}

static cell *find(fpd_metric *metric, const size_t *places)
{
    size_t n = metric ? combination(metric, places) : 0;

    return metric && n < metric->combinations ? &metric->cells[n * metric->width] : NULL;
}

void fpd_metric_count(fpd_metric *metric, const size_t *places, uint64_t amount)
{
    cell *c = find(metric, places);

    if (c)
        atomic_fetch_add_explicit(c, (int64_t)amount, memory_order_relaxed);
}

void fpd_metric_set(fpd_metric *metric, const size_t *places, int64_t value)
{
    cell *c = find(metric, places);

    if (c)
        atomic_store_explicit(c, value, memory_order_relaxed);
}

void fpd_metric_observe(fpd_metric *metric, const size_t *places, double seconds)
{
    cell *c = find(metric, places);
    size_t i = 0;

    if (!c || metric->spec.kind != FPD_HISTOGRAM)
        return;
    while (i < metric->spec.bound_count && seconds > metric->spec.bounds[i])
        i++;
    atomic_fetch_add_explicit(&c[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&c[metric->spec.bound_count + 1], (int64_t)(seconds * 1e9),
                              memory_order_relaxed);
}

static int64_t read_cell(const cell *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

static int64_t observed(const fpd_metric *metric, const cell *c)
{
    int64_t sum = 0;

    for (size_t i = 0; i <= metric->spec.bound_count; i++)
        sum += read_cell(&c[i]);
    return sum;
}

int64_t fpd_metric_value(const fpd_metric *metric, const size_t *places)
{
    size_t n = combination(metric, places);
    const cell *c = &metric->cells[n * metric->width];

    if (n == metric->combinations)
        return 0;
    return metric->spec.kind == FPD_HISTOGRAM ? observed(metric, c) : read_cell(c);
}

/* {a="x",b="y"} of one combination; `extra` is one more label, ready-made, or NULL. */
static void write_labels(const fpd_metric *metric, size_t n, const char *extra, fpd_text *out)
{
    size_t places[FPD_LABELS_MAX];

    for (size_t i = metric->label_count; i-- > 0;) {
        places[i] = n % metric->spec.labels[i].count;
        n /= metric->spec.labels[i].count;
    }
    if (metric->label_count == 0 && !extra)
        return;
    fpd_text_string(out, "{");
    for (size_t i = 0; i < metric->label_count; i++)
        fpd_text_printf(out, "%s%s=\"%s\"", i ? "," : "", metric->spec.labels[i].name,
                        metric->spec.labels[i].values[places[i]]);
    if (extra)
        fpd_text_printf(out, "%s%s", metric->label_count ? "," : "", extra);
    fpd_text_string(out, "}");
}

static void write_histogram(const fpd_metric *metric, size_t n, fpd_text *out)
{
    const cell *c = &metric->cells[n * metric->width];
    const char *name = metric->spec.name;
    int64_t below = 0;

    for (size_t i = 0; i <= metric->spec.bound_count; i++) {
        char le[40] = "le=\"+Inf\"";

        if (i < metric->spec.bound_count)
            snprintf(le, sizeof(le), "le=\"%g\"", metric->spec.bounds[i]);
        below += read_cell(&c[i]);
        fpd_text_printf(out, "%s_bucket", name);
        write_labels(metric, n, le, out);
        fpd_text_printf(out, " %lld\n", (long long)below);
    }
    fpd_text_printf(out, "%s_sum", name);
    write_labels(metric, n, NULL, out);
    fpd_text_printf(out, " %.9g\n", (double)read_cell(&c[metric->spec.bound_count + 1]) / 1e9);
    fpd_text_printf(out, "%s_count", name);
    write_labels(metric, n, NULL, out);
    fpd_text_printf(out, " %lld\n", (long long)below);
}

static void write_metric(const fpd_metric *metric, fpd_text *out)
{
    static const char *const kinds[] = { "counter", "gauge", "histogram" };

    fpd_text_printf(out, "# HELP %s %s\n# TYPE %s %s\n", metric->spec.name, metric->spec.help,
                    metric->spec.name, kinds[metric->spec.kind]);
    for (size_t n = 0; n < metric->combinations; n++) {
        const cell *c = &metric->cells[n * metric->width];

        if (metric->spec.sparse &&
            (metric->spec.kind == FPD_HISTOGRAM ? observed(metric, c) : read_cell(c)) == 0)
            continue;
        if (metric->spec.kind == FPD_HISTOGRAM) {
            write_histogram(metric, n, out);
            continue;
        }
        fpd_text_string(out, metric->spec.name);
        write_labels(metric, n, NULL, out);
        fpd_text_printf(out, " %lld\n", (long long)read_cell(c));
    }
}

void fpd_metrics_write(const fpd_metrics *m, fpd_text *out)
{
    for (const fpd_metric *metric = m->first; metric; metric = metric->next)
        write_metric(metric, out);
}
