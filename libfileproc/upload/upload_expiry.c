/* Owns: until when an unfinished upload is kept, and what moves that.
 * Must not know: what becomes of one that is not.
 *
 * The row is the truth, since reapers of other processes ask nobody else. It is not written for every chunk: it gets a little more
 * than the timeout, and is written again when that little is used up. So it is never earlier than the timeout says. */
#include "upload/upload_expiry.h"

#include "upload/upload_private.h"

/* How much more: the longest time between two writes of the row of an upload that is at work, all but for its end. */
#define SLACK_MAX_MS INT64_C(60000)

static int64_t slack(const fp_uploads *ups)
{
    int64_t part = ups->idle_timeout_ms / 16;

    return part < SLACK_MAX_MS ? part : SLACK_MAX_MS;
}

/* No upload is kept longer than a session may last. */
static int64_t kept_until(const fp_uploads *ups, const fpi_session *s, int64_t wanted_ms)
{
    int64_t last = s->facts->created_at_ms + ups->session_timeout_ms;

    return wanted_ms < last ? wanted_ms : last;
}

int64_t fpi_expiry_first(const fp_uploads *ups, int64_t now_ms, bool waits)
{
    int64_t life = ups->session_timeout_ms;

    if (!waits && ups->idle_timeout_ms && ups->idle_timeout_ms < life)
        life = ups->idle_timeout_ms;
    return now_ms + life;
}

typedef struct slide_call {
    const char *id;
    int64_t expires_ms;
} slide_call;

static fp_status slide_body(fp_tx *tx, void *user_data, fp_error *err)
{
    const slide_call *call = user_data;
    const fp_value params[] = { FILEPROC_V_TEXT(call->id), FILEPROC_V_INT(call->expires_ms) };

    return fp_tx_exec(tx,
                      "UPDATE uploads SET expires_at = $2 WHERE id = $1 AND status = 'open'"
                      " AND expires_at < $2",
                      params, 2, NULL, err);
}

/* With the lock held. One of those who are at work does it for all; also a failure is not repeated at once. */
static bool is_due(const fp_uploads *ups, fpi_session *s, slide_call *call)
{
    int64_t now = fpi_now_ms(ups->ctx);

    if (s->state != FPI_UPLOAD_OPEN || now < s->slide_at_ms || now >= s->expires_ms ||
        kept_until(ups, s, now + ups->idle_timeout_ms) <= s->expires_ms)
        return false;
    call->id = s->id;
    call->expires_ms = kept_until(ups, s, now + ups->idle_timeout_ms + slack(ups));
    s->slide_at_ms = now + slack(ups);
    return true;
}

void fpi_expiry_slide(fp_uploads *ups, fpi_session *s)
{
    slide_call call;
    fp_error e = { 0 };
    fp_status rc;
    bool due;

    if (!ups->idle_timeout_ms)
        return;
    pthread_mutex_lock(&s->lock);
    due = is_due(ups, s, &call);
    pthread_mutex_unlock(&s->lock);
    if (!due)
        return;
    rc = fp_database_transact(ups->db, 0, slide_body, &call, &e);
    if (rc < 0) {
        fpi_log(ups->ctx, FILEPROC_LOG_WARN, "upload", "%s: its end can't be moved: %s", s->id,
                e.message);
        return;
    }
    pthread_mutex_lock(&s->lock);
    if (s->expires_ms < call.expires_ms)
        s->expires_ms = call.expires_ms;
    pthread_mutex_unlock(&s->lock);
}

void fpi_expiry_hear(const fp_uploads *ups, fpi_session *s, int64_t touched_ms)
{
    int64_t until;

    if (!ups->idle_timeout_ms || s->state != FPI_UPLOAD_OPEN)
        return;
    until = kept_until(ups, s, touched_ms + ups->idle_timeout_ms);
    if (s->expires_ms < until)
        s->expires_ms = until;
}
