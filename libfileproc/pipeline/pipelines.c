/* Owns: the set of operations and pipelines: opening, resolving, describing.
 * Must not know: how a pipeline is run; jobs; the database. */
#include <string.h>

#include "core/media_type.h"
#include "core/options.h"
#include "pipeline/definition.h"
#include "pipeline/pipeline_builtin.h"
#include "pipeline/pipeline_private.h"

#include "fileproc_config.h"

#define DEFINITIONS_MAX 200u
#define DEFINITIONS_TEXT_MAX (1024u * 1024u)
#define PATH_MAX_SIZE 4096u

static const fp_pipelines_options defaults = {
    .struct_size = sizeof(fp_pipelines_options),
    .helper_path = FPI_HELPER_PATH,
    .temporary_folder = "/var/tmp",
    .max_pixels = 100000000u,
    .max_output_bytes = UINT64_C(256) << 20,
    .helper_memory_bytes = UINT64_C(4) << 30,
    .max_unpacked_bytes = UINT64_C(10) << 30,
    .max_entries = 100000u,
    .max_pages = 500u,
    .wall_clock_ms = 120000u,
    .jobs_per_helper = 100u,
    .scan_max_bytes = UINT64_C(100) << 20,
    .scan_timeout_ms = 120000u,
};

#define OR_DEFAULT(o, member)                                                                      \
    do {                                                                                           \
        if (!(o)->member)                                                                          \
            (o)->member = defaults.member;                                                         \
    } while (0)

static void fill_defaults(fp_pipelines_options *o)
{
    OR_DEFAULT(o, helper_path);
    OR_DEFAULT(o, temporary_folder);
    OR_DEFAULT(o, max_pixels);
    OR_DEFAULT(o, max_output_bytes);
    OR_DEFAULT(o, helper_memory_bytes);
    OR_DEFAULT(o, max_unpacked_bytes);
    OR_DEFAULT(o, max_entries);
    OR_DEFAULT(o, max_pages);
    OR_DEFAULT(o, wall_clock_ms);
    OR_DEFAULT(o, jobs_per_helper);
    OR_DEFAULT(o, scan_max_bytes);
    OR_DEFAULT(o, scan_timeout_ms);
}

static fp_status copy_path(const fp_context *ctx, const char *name, const char *path, char **out,
                           fp_error *err)
{
    if (path[0] == '\0' || strlen(path) >= PATH_MAX_SIZE)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "%s is empty or too long", name);
    *out = fpi_strdup(&ctx->a, path);
    return *out ? FILEPROC_OK : fpi_no_memory(err);
}

static bool find_definition(const fp_pipelines *pls, const char *name, size_t *place)
{
    const json_t *one;
    size_t i;

    json_array_foreach(pls->definitions, i, one)
        if (strcmp(json_string_value(json_object_get(one, "name")), name) == 0) {
            *place = i;
            return true;
        }
    return false;
}

static fp_status add_definition(fp_pipelines *pls, const json_t *given, const fpi_place *place,
                                bool own, fp_error *err)
{
    fpi_place name_place = fpi_place_member(place, "name");
    FPI_CLEANUP(json_t) whole = NULL;
    const char *name;
    size_t known;
    fp_status rc = fpi_definition_complete(&pls->ops, given, false, place, &whole, err);

    if (rc < 0)
        return rc;
    name = json_string_value(json_object_get(whole, "name"));
    if (find_definition(pls, name, &known))
        return own ? fpi_place_error(err, FILEPROC_REASON_PIPELINE_INVALID, &name_place,
                                     "\"%s\" is there already", name)
                   : FILEPROC_OK; /* the options replace what is built in */
    if (json_array_append(pls->definitions, whole) != 0)
        return fpi_no_memory(err);
    return FILEPROC_OK;
}

static fp_status add_definitions(fp_pipelines *pls, const char *text, bool own, fp_error *err)
{
    const fpi_place root = FPI_PLACE_ROOT;
    const fpi_place list = fpi_place_member(&root, "pipelines");
    FPI_CLEANUP(json_t) given = NULL;
    const json_t *one;
    fp_status rc;
    size_t i;

    rc = fpi_definition_parse(text, DEFINITIONS_TEXT_MAX, "pipelines", &given, err);
    if (rc < 0)
        return rc;
    if (!json_is_array(given) || json_array_size(given) > DEFINITIONS_MAX)
        return fpi_place_error(err, FILEPROC_REASON_PIPELINE_INVALID, &list,
                               "must be an array of at most %u pipelines", DEFINITIONS_MAX);
    json_array_foreach(given, i, one) {
        fpi_place place = fpi_place_element(&list, i);

        rc = add_definition(pls, one, &place, own, err);
        if (rc < 0)
            return rc;
    }
    return FILEPROC_OK;
}

/* As a job keeps it: for which types it is a default doesn't matter any more. */
static fp_status append_resolved(fp_pipelines *pls, const json_t *definition, fp_buf *out,
                                 fp_error *err)
{
    FPI_CLEANUP(json_t) resolved = json_object();
    fp_status rc;

    rc = fpi_json_set(resolved, "name", json_incref(json_object_get(definition, "name")), err);
    if (rc == FILEPROC_OK)
        rc =
            fpi_json_set(resolved, "steps", json_incref(json_object_get(definition, "steps")), err);
    if (rc == FILEPROC_OK)
        rc = fpi_json_dump(pls->ctx, resolved, out, err);
    return rc;
}

static fp_status write_resolved(fp_pipelines *pls, fp_error *err)
{
    const json_t *one;
    size_t i;

    pls->resolved =
        fpi_calloc(&pls->ctx->a, json_array_size(pls->definitions) + 1, sizeof(*pls->resolved));
    if (!pls->resolved)
        return fpi_no_memory(err);
    json_array_foreach(pls->definitions, i, one) {
        fp_buf text = FILEPROC_BUF_INIT;
        fp_status rc = append_resolved(pls, one, &text, err);

        if (rc < 0) {
            fp_buf_dispose(&text); /* it may have grown before */
            return rc;
        }
        pls->resolved[i] = text.data;
    }
    return FILEPROC_OK;
}

static fp_status write_description(fp_pipelines *pls, fp_error *err)
{
    FPI_CLEANUP(json_t) whole = json_object();
    FPI_CLEANUP(json_t) operations = json_array();
    fp_status rc;

    for (size_t i = 0; i < pls->ops.count; i++)
        if (json_array_append_new(operations, fpi_operation_describe(&pls->ops.items[i])) != 0)
            return fpi_no_memory(err);
    rc = fpi_json_set(whole, "operations", fpi_steal(&operations), err);
    if (rc == FILEPROC_OK)
        rc = fpi_json_set(whole, "pipelines", json_incref(pls->definitions), err);
    if (rc < 0)
        return rc;
    pls->description = fpi_json_text(pls->ctx, whole);
    return pls->description ? FILEPROC_OK : fpi_no_memory(err);
}

static fp_status open_checks(fp_pipelines *pls, fp_error *err)
{
    const fp_pipelines_options *o = &pls->o;
    fpi_clamd *clamd = NULL;
    fp_status rc = FILEPROC_OK;

    if (o->clamd_uri)
        rc = fpi_clamd_new(pls->ctx, o->clamd_uri, o->scan_max_bytes, o->scan_timeout_ms, &clamd,
                           err);
    fpi_checks_init(&pls->checks, clamd);
    return rc;
}

/* What can be left half done: fp_pipelines_free() takes care of that. */
static fp_status fill(fp_pipelines *pls, const char *definitions, fp_error *err)
{
    fp_status rc = copy_path(pls->ctx, "helper_path", pls->o.helper_path, &pls->helper_path, err);

    if (rc == FILEPROC_OK)
        rc = copy_path(pls->ctx, "temporary_folder", pls->o.temporary_folder,
                       &pls->temporary_folder, err);
    if (rc == FILEPROC_OK)
        rc = open_checks(pls, err);
    if (rc == FILEPROC_OK)
        rc = fpi_operations_init(pls->ctx, &pls->checks, &pls->ops, err);
    if (rc < 0)
        return rc;
    pls->definitions = json_array();
    if (!pls->definitions)
        return fpi_no_memory(err);
    if (definitions)
        rc = add_definitions(pls, definitions, true, err);
    pls->own_count = json_array_size(pls->definitions);
    if (rc == FILEPROC_OK)
        rc = add_definitions(pls, fpi_builtin_pipelines, false, err);
    if (rc == FILEPROC_OK)
        rc = write_resolved(pls, err);
    if (rc == FILEPROC_OK)
        rc = write_description(pls, err);
    return rc;
}

fp_status fp_pipelines_open(fp_context *ctx, const fp_pipelines_options *opts, fp_pipelines **out,
                            fp_error *err)
{
    fp_pipelines_options o = FILEPROC_PIPELINES_OPTIONS_INIT;
    FPI_CLEANUP(fp_pipelines) pls = NULL;
    fp_status rc;

    if (!ctx || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = fpi_options_import(&o, sizeof(o), opts, err);
    if (rc < 0)
        return rc;
    fill_defaults(&o);
    pls = fpi_calloc(&ctx->a, 1, sizeof(*pls));
    if (!pls)
        return fpi_no_memory(err);
    pls->ctx = ctx;
    pls->o = o;
    rc = fill(pls, o.definitions, err);
    /* The caller's texts may be gone by now. */
    pls->o.helper_path = pls->helper_path;
    pls->o.temporary_folder = pls->temporary_folder;
    pls->o.definitions = NULL;
    pls->o.clamd_uri = NULL;
    if (rc == FILEPROC_OK)
        *out = fpi_steal(&pls);
    return rc;
}

void fp_pipelines_free(fp_pipelines *pls)
{
    if (!pls)
        return;
    for (size_t i = 0; pls->resolved && i < json_array_size(pls->definitions); i++)
        fpi_free(&pls->ctx->a, pls->resolved[i]);
    fpi_free(&pls->ctx->a, pls->resolved);
    fpi_free(&pls->ctx->a, pls->description);
    json_decref(pls->definitions);
    fpi_operations_dispose(&pls->ops);
    fpi_checks_dispose(&pls->checks);
    fpi_free(&pls->ctx->a, pls->helper_path);
    fpi_free(&pls->ctx->a, pls->temporary_folder);
    fpi_free(&pls->ctx->a, pls);
}

static fpi_media_match accepts(const json_t *definition, const char *type)
{
    fpi_media_match best = FPI_MEDIA_MATCH_NONE;
    const json_t *pattern;
    size_t i;

    json_array_foreach(json_object_get(definition, "accepts"), i, pattern) {
        fpi_media_match match =
            fpi_media_pattern_match(json_string_value(pattern), json_string_length(pattern), type);

        best = match > best ? match : best;
    }
    return best;
}

/* The closest fit among definitions [from, to), the first of equals; only one whose operations all take the type. */
static bool best_default(const fp_pipelines *pls, const char *type, size_t from, size_t to,
                         size_t *place)
{
    fpi_media_match best = FPI_MEDIA_MATCH_NONE;
    size_t step;

    for (size_t i = from; i < to; i++) {
        const json_t *one = json_array_get(pls->definitions, i);
        fpi_media_match match = accepts(one, type);

        if (match > best && !fpi_definition_refuses(&pls->ops, one, type, &step)) {
            best = match;
            *place = i;
        }
    }
    return best > FPI_MEDIA_MATCH_NONE;
}

static bool find_default(const fp_pipelines *pls, const char *type, size_t *place)
{
    return best_default(pls, type, 0, pls->own_count, place) ||
           best_default(pls, type, pls->own_count, json_array_size(pls->definitions), place);
}

static fp_status check_type(const fp_pipelines *pls, const json_t *definition, const char *type,
                            fp_error *err)
{
    size_t step;
    const fpi_operation *op =
        *type ? fpi_definition_refuses(&pls->ops, definition, type, &step) : NULL;

    if (!op)
        return FILEPROC_OK;
    return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_MEDIA_UNSUPPORTED,
                            "steps[%zu]: %s does not take %.80s", step, op->name, type);
}

static fp_status resolve_inline(fp_pipelines *pls, const char *text, const char *type, fp_buf *out,
                                fp_error *err)
{
    const fpi_place root = FPI_PLACE_ROOT;
    FPI_CLEANUP(json_t) given = NULL;
    FPI_CLEANUP(json_t) whole = NULL;
    fp_status rc = fpi_definition_parse(text, FPI_DEFINITION_TEXT_MAX, "pipeline", &given, err);

    if (rc == FILEPROC_OK)
        rc = fpi_definition_complete(&pls->ops, given, true, &root, &whole, err);
    if (rc == FILEPROC_OK)
        rc = check_type(pls, whole, type, err);
    if (rc == FILEPROC_OK)
        rc = append_resolved(pls, whole, out, err);
    return rc;
}

static fp_status resolve_name(fp_pipelines *pls, const char *name, const char *type, fp_buf *out,
                              fp_error *err)
{
    fp_status rc;
    size_t place;

    if (!find_definition(pls, name, &place))
        return fp_error_reasonf(err, FILEPROC_ERR_NOTFOUND, FILEPROC_REASON_PIPELINE_UNKNOWN,
                                "there is no pipeline \"%.64s\"", name);
    rc = check_type(pls, json_array_get(pls->definitions, place), type, err);
    return rc < 0 ? rc : fpi_buf_text(pls->ctx, out, pls->resolved[place], err);
}

fp_status fp_pipelines_resolve(fp_pipelines *pls, const char *pipeline, const char *mime_type,
                               fp_buf *out, fp_error *err)
{
    char type[FPI_MEDIA_TYPE_SIZE] = "";
    size_t place;

    if (!pls || !out || (!pipeline && !mime_type))
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    if (mime_type && !fpi_media_type_normalise(mime_type, type))
        return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_MEDIA_UNSUPPORTED,
                                "\"%.80s\" is no media type", mime_type);
    if (!pipeline)
        return find_default(pls, type, &place)
                   ? fpi_buf_text(pls->ctx, out, pls->resolved[place], err)
                   : FILEPROC_OK;
    if (pipeline[strspn(pipeline, " \t\r\n")] == '{')
        return resolve_inline(pls, pipeline, type, out, err);
    return resolve_name(pls, pipeline, type, out, err);
}

fp_status fp_pipelines_describe(fp_pipelines *pls, fp_buf *out, fp_error *err)
{
    if (!pls || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    return fpi_buf_text(pls->ctx, out, pls->description, err);
}
