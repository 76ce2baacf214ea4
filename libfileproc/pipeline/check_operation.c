/* Owns: type.check and clamav.scan.
 * Must not know: jobs, and what becomes of a file whose check fails. */
#include "pipeline/check_operation.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "core/error_private.h"
#include "core/json_text.h"
#include "pipeline/input_type.h"

#define TYPE_CHECK "type.check"
#define CLAMAV_SCAN "clamav.scan"

/* The type was found by the helper before this runs. */
static fp_status check_type(const fp_operation_call *call, void *user_data, fp_buf *result,
                            fp_error *err)
{
    const char *declared = call->declared_mime_type, *detected = call->detected_mime_type;
    const char *verdict = "clean", *reason = NULL;
    fpi_json_object o;

    (void)user_data;
    if (!detected) {
        verdict = "unscannable";
        reason = "type_unknown";
    } else if (declared && fpi_input_type_differs(declared, detected)) {
        verdict = "mismatch";
        reason = detected;
    }
    fpi_json_begin(&o, call->ctx, result, 256, err);
    fpi_json_add_text(&o, "declared", declared);
    fpi_json_add_text(&o, "detected", detected);
    fpi_json_add_text(&o, "verdict", verdict);
    if (reason)
        fpi_json_add_text(&o, "reason", reason);
    return fpi_json_end(&o);
}

static fp_status scan(const fp_operation_call *call, void *user_data, fp_buf *result, fp_error *err)
{
    static const char *const verdicts[] = { [FPI_CLAMD_CLEAN] = "clean",
                                            [FPI_CLAMD_INFECTED] = "infected",
                                            [FPI_CLAMD_UNSCANNABLE] = "unscannable" };
    const fpi_clamd *clamd = user_data;
    fpi_clamd_answer answer;
    fpi_json_object o;
    struct stat st;
    fp_status rc;

    if (fstat(call->fd, &st) != 0)
        return fpi_error_errno(err, errno, "the file to be scanned");
    rc = fpi_clamd_scan(clamd, call->fd, (uint64_t)st.st_size, call->tick, call->handle, &answer,
                        err);
    if (rc < 0)
        return rc;
    fpi_json_begin(&o, call->ctx, result, 256, err);
    fpi_json_add_text(&o, "verdict", verdicts[answer.verdict]);
    if (answer.name[0])
        fpi_json_add_text(&o, "reason", answer.name);
    return fpi_json_end(&o);
}

void fpi_checks_init(fpi_checks *checks, fpi_clamd *clamd)
{
    *checks = (fpi_checks){ .clamd = clamd };
    checks->operations[checks->count++] =
        (fp_operation){ FILEPROC_OPERATION_INIT(TYPE_CHECK), .accepts = "*", .run = check_type };
    if (clamd)
        checks->operations[checks->count++] =
            (fp_operation){ FILEPROC_OPERATION_INIT(CLAMAV_SCAN), .accepts = "*",
                            .user_data = clamd, .run = scan };
}

void fpi_checks_dispose(fpi_checks *checks)
{
    fpi_clamd_free(fpi_steal(&checks->clamd));
    checks->count = 0;
}

bool fpi_check_is_reserved(const char *name)
{
    return strcmp(name, TYPE_CHECK) == 0 || strcmp(name, CLAMAV_SCAN) == 0;
}
