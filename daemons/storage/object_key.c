/* Owns: which keys the storage service may write, and its words for errors.
 * Must not know: how objects are read or written. */
#include "object_key.h"

#include <string.h>

#include "problem.h"

/* The first segments of keys that the upload engine, jobs and health probes write under. What is staged has no key at all. */
static const char *const reserved[] = { "files", "derivatives", "health" };

static bool begins(const char *key, const char *segment)
{
    size_t size = strlen(segment);

    return strncmp(key, segment, size) == 0 && (key[size] == '/' || key[size] == '\0');
}

bool fpd_object_reserved(const char *key)
{
    for (size_t i = 0; i < sizeof(reserved) / sizeof(*reserved); i++)
        if (begins(key, reserved[i]))
            return true;
    return false;
}

bool fpd_object_is_probe(const char *key)
{
    return begins(key, "health");
}

bool fpd_object_writable(fpd_request *rq, const char *key)
{
    if (!fpd_object_reserved(key))
        return true;
    fpd_problem(rq, 403, "key_reserved",
                "Keys under files/, derivatives/ and health/ belong to the other services; they "
                "can only be read here.");
    return false;
}

void fpd_object_problem(fpd_request *rq, const fp_error *err)
{
    if (err->code == FILEPROC_ERR_NOTFOUND)
        fpd_problem(rq, 404, "object_not_found", "There is no such object.");
    else
        fpd_problem_error(rq, err);
}
