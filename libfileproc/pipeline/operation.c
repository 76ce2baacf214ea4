/* Owns: collecting, checking and finding operations.
 * Must not know: pipelines; how an operation works. */
#include "pipeline/operation.h"

#include <stdlib.h>
#include <string.h>

#include "core/media_type.h"
#include "pipeline/operation_builtin.h"
#include "pipeline/schema.h"

#define NAME_MAX_SIZE 64u
#define INFO_KEY_MAX_SIZE 40u
#define ACCEPTS_MAX_SIZE 8192u
#define PARAMETERS_MAX_SIZE (64u * 1024u)

#define NO_PARAMETERS "{\"type\":\"object\"}"
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789_"

/* "noun.verb" */
static bool name_valid(const char *name)
{
    size_t noun = strspn(name, NAME_CHARACTERS), verb;

    if (noun == 0 || name[noun] != '.')
        return false;
    verb = strspn(name + noun + 1, NAME_CHARACTERS);
    return verb > 0 && name[noun + 1 + verb] == '\0' && noun + 1 + verb <= NAME_MAX_SIZE;
}

static bool info_key_valid(const char *key)
{
    size_t size = strspn(key, NAME_CHARACTERS);

    return size > 0 && size <= INFO_KEY_MAX_SIZE && key[size] == '\0';
}

static bool accepts_valid(const char *accepts)
{
    const char *pattern;
    size_t size;

    if (!accepts || strlen(accepts) > ACCEPTS_MAX_SIZE)
        return false;
    while (fpi_media_list_next(&accepts, &pattern, &size))
        if (!fpi_media_pattern_valid(pattern, size))
            return false;
    return true;
}

static fp_status check_names(const fpi_operation *op, fp_error *err)
{
    if (!name_valid(op->name))
        return fp_error_reasonf(
            err, FILEPROC_ERR_INVALID, FILEPROC_REASON_PIPELINE_INVALID,
            "operation %.64s: a name is noun.verb in [a-z0-9_], at most %u characters", op->name,
            NAME_MAX_SIZE);
    if (!accepts_valid(op->accepts))
        return fp_error_reasonf(
            err, FILEPROC_ERR_INVALID, FILEPROC_REASON_PIPELINE_INVALID,
            "operation %s: accepts must be media types in lower case, with commas between",
            op->name);
    if (op->info_key && !info_key_valid(op->info_key))
        return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_PIPELINE_INVALID,
                                "operation %s: info_key must be 1 to %u characters of [a-z0-9_]",
                                op->name, INFO_KEY_MAX_SIZE);
    return FILEPROC_OK;
}

/* The parameters of a call are an object, so a schema for anything else could never be met. */
static fp_status parse_schema(const char *name, const char *text, json_t **out, fp_error *err)
{
    const fpi_place root = FPI_PLACE_ROOT;
    const fpi_place operation = fpi_place_member(&root, name);
    const fpi_place place = fpi_place_member(&operation, "parameters");
    FPI_CLEANUP(json_t) schema = NULL;
    const json_t *type;
    fp_status rc;

    if (strlen(text) > PARAMETERS_MAX_SIZE)
        return fpi_place_error(err, FILEPROC_REASON_PIPELINE_INVALID, &place,
                               "must have at most %u bytes", PARAMETERS_MAX_SIZE);
    rc = fpi_json_parse(text, strlen(text), name, &schema, err);
    if (rc == FILEPROC_OK)
        rc = fpi_schema_check(schema, &place, err);
    if (rc < 0)
        return rc;
    type = json_object_get(schema, "type");
    if (!json_is_string(type) || strcmp(json_string_value(type), "object") != 0)
        return fpi_place_error(err, FILEPROC_REASON_PIPELINE_INVALID, &place,
                               "type must be \"object\"");
    *out = fpi_steal(&schema);
    return FILEPROC_OK;
}

static fp_status find_defaults(const json_t *schema, json_t **out, fp_error *err)
{
    const fpi_place root = FPI_PLACE_ROOT;
    FPI_CLEANUP(json_t) params = json_object();
    fp_error e = { 0 };
    fp_status rc = params ? fpi_schema_apply(schema, params, &root, &e) : fpi_no_memory(&e);

    if (rc == FILEPROC_OK)
        *out = fpi_steal(&params);
    if (rc == FILEPROC_ERR_INVALID)
        return FILEPROC_OK; /* something is required */
    if (rc < 0 && err)
        *err = e;
    return rc;
}

/* The array is large enough. */
static fp_status add(fpi_operations *ops, fpi_operation op, const char *parameters, fp_error *err)
{
    fp_status rc = check_names(&op, err);

    if (rc == FILEPROC_OK)
        rc = parse_schema(op.name, parameters ? parameters : NO_PARAMETERS, &op.schema, err);
    if (rc == FILEPROC_OK)
        rc = find_defaults(op.schema, &op.defaults, err);
    if (rc == FILEPROC_OK)
        ops->items[ops->count++] = op;
    else
        json_decref(op.schema);
    return rc;
}

static bool is_builtin(const char *name)
{
    if (fpi_check_is_reserved(name))
        return true;
    for (size_t i = 0; i < fpi_builtin_operation_count; i++)
        if (strcmp(fpi_builtin_operations[i].name, name) == 0)
            return true;
    return false;
}

static fp_status add_embedded(fpi_operations *ops, const fp_operation *own, fp_error *err)
{
    return add(ops, (fpi_operation){ own->name, own->accepts, own->info_key, own, NULL, NULL },
               own->parameters, err);
}

static fp_status add_all(const fp_context *ctx, const fpi_checks *checks, fpi_operations *ops,
                         fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    for (size_t i = 0; rc == FILEPROC_OK && i < ctx->operations.count; i++) {
        const fp_operation *own = ctx->operations.items[i];

        if (is_builtin(own->name))
            return fp_error_setf(err, FILEPROC_ERR_EXISTS, "operation %s is built in", own->name);
        rc = add_embedded(ops, own, err);
    }
    for (size_t i = 0; rc == FILEPROC_OK && i < checks->count; i++)
        rc = add_embedded(ops, &checks->operations[i], err);
    for (size_t i = 0; rc == FILEPROC_OK && i < fpi_builtin_operation_count; i++) {
        const fpi_builtin_operation *b = &fpi_builtin_operations[i];

        rc = add(ops, (fpi_operation){ b->name, b->accepts, b->info_key, NULL, NULL, NULL },
                 b->parameters, err);
    }
    return rc;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const fpi_operation *)a)->name, ((const fpi_operation *)b)->name);
}

fp_status fpi_operations_init(const fp_context *ctx, const fpi_checks *checks, fpi_operations *ops,
                              fp_error *err)
{
    fp_status rc;

    *ops = (fpi_operations){ .ctx = ctx };
    ops->items =
        fpi_calloc(&ctx->a, ctx->operations.count + checks->count + fpi_builtin_operation_count,
                   sizeof(*ops->items));
    if (!ops->items)
        return fpi_no_memory(err);
    rc = add_all(ctx, checks, ops, err);
    if (rc < 0)
        fpi_operations_dispose(ops);
    else
        qsort(ops->items, ops->count, sizeof(*ops->items), by_name);
    return rc;
}

void fpi_operations_dispose(fpi_operations *ops)
{
    if (!ops->ctx)
        return;
    for (size_t i = 0; i < ops->count; i++) {
        json_decref(ops->items[i].schema);
        json_decref(ops->items[i].defaults);
    }
    fpi_free(&ops->ctx->a, ops->items);
    *ops = (fpi_operations){ NULL, NULL, 0 };
}

const fpi_operation *fpi_operations_find(const fpi_operations *ops, const char *name)
{
    const fpi_operation wanted = { .name = name };

    return bsearch(&wanted, ops->items, ops->count, sizeof(*ops->items), by_name);
}

bool fpi_operation_accepts(const fpi_operation *op, const char *type)
{
    return fpi_media_list_match(op->accepts, type) != FPI_MEDIA_MATCH_NONE;
}

static json_t *describe_accepts(const char *accepts)
{
    FPI_CLEANUP(json_t) list = json_array();
    const char *pattern;
    size_t size;

    while (fpi_media_list_next(&accepts, &pattern, &size))
        if (json_array_append_new(list, json_stringn(pattern, size)) != 0)
            return NULL;
    return fpi_steal(&list);
}

json_t *fpi_operation_describe(const fpi_operation *op)
{
    FPI_CLEANUP(json_t) object = json_object();

    if (fpi_json_set(object, "name", json_string(op->name), NULL) < 0 ||
        fpi_json_set(object, "accepts", describe_accepts(op->accepts), NULL) < 0 ||
        fpi_json_set(object, "parameters", json_incref(op->schema), NULL) < 0 ||
        fpi_json_set(object, "runs_in", json_string(op->embedded ? "process" : "helper"), NULL) <
            0 ||
        fpi_json_set(object, "info_key", fpi_json_string(op->info_key), NULL) < 0)
        return NULL;
    return fpi_steal(&object);
}
