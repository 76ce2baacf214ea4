/* Owns: the form in which an event is told to others: CloudEvents 1.0, structured JSON.
 * Must not know: where it comes from, or goes. */
#ifndef FPI_CLOUD_EVENT_H
#define FPI_CLOUD_EVENT_H

#include <stdint.h>

#include "core/buf_private.h"

#define FPI_CLOUD_EVENT_TYPE "application/cloudevents+json"

typedef struct fpi_cloud_event {
    const char *id;
    const char *source;
    const char *type;
    const char *subject;
    const char *data; /* JSON */
    int64_t time_ms;
} fpi_cloud_event;

/** Appends the JSON text to out. Data that is no JSON any more (a damaged database) goes along as a string: one such event must not
 *  hold up all that come after it. */
fp_status fpi_cloud_event_write(const fp_context *ctx, const fpi_cloud_event *e, fp_buf *out,
                                fp_error *err);

#endif
