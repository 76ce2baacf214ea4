/* Owns: which of an input's two types, declared and detected, an operation goes by.
 * Must not know: how a type is detected; operations of the helper, whose decoders look for themselves. */
#include "pipeline/input_type.h"

#include <string.h>

/* libmagic knows containers and texts better than what is in them: each of these may be all that it says of a file that was declared more
 * exactly. "*" at either end of a pattern stands for anything. */
static const struct {
    const char *detected;
    const char *declared; /* comma-separated */
} vaguer[] = {
    { "application/octet-stream", "*" },
    { "application/x-empty", "*" },
    { "inode/x-empty", "*" },
    { "text/plain", "text/*,*+json,*+xml,*+yaml,application/json,application/x-ndjson,"
                    "application/xml,application/yaml,application/x-yaml,application/toml,"
                    "application/sql,application/csv,application/javascript" },
    { "application/json", "*+json,application/x-ndjson" },
    { "text/xml", "*+xml,application/xml" },
    { "application/xml", "*+xml,text/xml" },
    { "application/zip", "*+zip,application/x-zip*,application/java-archive,"
                         "application/vnd.oasis.opendocument.*,"
                         "application/vnd.openxmlformats-officedocument.*" },
    { "application/gzip", "application/x-gzip,application/x-compressed-tar,*+gzip" },
};

static bool matches(const char *pattern, size_t size, const char *type)
{
    size_t length = strlen(type);

    if (size > 0 && pattern[size - 1] == '*')
        return length >= size - 1 && strncmp(pattern, type, size - 1) == 0;
    if (size > 0 && pattern[0] == '*')
        return length >= size - 1 && memcmp(pattern + 1, type + length - (size - 1), size - 1) == 0;
    return length == size && memcmp(pattern, type, size) == 0;
}

static bool is_vaguer(const char *detected, const char *declared)
{
    const char *pattern, *list;
    size_t size;

    for (size_t i = 0; i < sizeof(vaguer) / sizeof(*vaguer); i++) {
        if (strcmp(vaguer[i].detected, detected) != 0)
            continue;
        list = vaguer[i].declared;
        while (fpi_media_list_next(&list, &pattern, &size))
            if (matches(pattern, size, declared))
                return true;
    }
    return false;
}

bool fpi_input_type_differs(const char *declared, const char *detected)
{
    return strcmp(detected, declared) != 0 && !is_vaguer(detected, declared);
}

static fp_status refuse(const fpi_input_type *input, const fpi_operation *op, fp_error *err)
{
    const char *detected = input->detected, *declared = input->declared;
    fp_status rc;

    if (*detected && *declared && fpi_input_type_differs(declared, detected))
        rc = fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_MEDIA_TYPE_MISMATCH,
                              "declared %.80s, but the content is %.80s", declared, detected);
    else
        rc = fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_MEDIA_UNSUPPORTED,
                              "%.64s can't read %.80s", op->name,
                              *declared   ? declared
                              : *detected ? detected
                                          : "a file of unknown type");
    if (err)
        err->flags |= FILEPROC_ERROR_PERMANENT;
    return rc;
}

fp_status fpi_input_type_for(const fpi_input_type *input, const fpi_operation *op,
                             const char **type, fp_error *err)
{
    const char *detected = input->detected, *declared = input->declared;
    bool trust_declared = !*detected || is_vaguer(detected, declared);

    /* The more exact name first: an operation for all kinds of text gets the text/csv that it is. */
    if (*declared && trust_declared && fpi_operation_accepts(op, declared))
        *type = declared;
    else if (fpi_operation_accepts(op, *detected ? detected : "application/octet-stream"))
        *type = *detected ? detected : "application/octet-stream";
    else
        return refuse(input, op, err);
    return FILEPROC_OK;
}
