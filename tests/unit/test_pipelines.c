/* Owns: the tests of pipeline/pipelines.c, operation.c, definition.c and pipeline_builtin.c. */
#include <pthread.h>
#include <string.h>

#include <fileproc/driver/operation_driver.h>

#include "fault.h"
#include "pipeline/operation_builtin.h"
#include "pipeline/pipeline_private.h"
#include "runner.h"

static fp_status never_run(const fp_operation_call *call, void *user_data, fp_buf *result,
                           fp_error *err)
{
    (void)call;
    (void)user_data;
    (void)result;
    return fp_error_setf(err, FILEPROC_ERR_USER, "not to be called");
}

static const fp_operation app_count = {
    FILEPROC_OPERATION_INIT("app.count"),
    .accepts = "text/*, application/json",
    .parameters =
        "{\"type\":\"object\",\"properties\":{\"word\":{\"type\":\"string\",\"maxLength\":9},"
        "\"fold\":{\"type\":\"boolean\",\"default\":true}}}",
    .info_key = "count",
    .run = never_run,
};

typedef struct fixture {
    fp_context *ctx;
    fp_pipelines *pls;
    fp_buf out;
    fp_error err;
} fixture;

static void begin(fixture *f, const fp_operation *op, const char *definitions)
{
    fp_pipelines_options o = FILEPROC_PIPELINES_OPTIONS_INIT;

    *f = (fixture){ .out = FILEPROC_BUF_INIT };
    o.definitions = definitions;
    ck_assert_int_eq(fp_context_new(NULL, &f->ctx, &f->err), FILEPROC_OK);
    if (op)
        ck_assert_int_eq(fp_context_add_operation(f->ctx, op, &f->err), FILEPROC_OK);
    ck_assert_msg(fp_pipelines_open(f->ctx, &o, &f->pls, &f->err) == FILEPROC_OK, "%s",
                  f->err.message);
}

static void end(fixture *f)
{
    fp_buf_dispose(&f->out);
    fp_pipelines_free(f->pls);
    fp_context_free(f->ctx);
}

static const char *resolve(fixture *f, const char *pipeline, const char *type)
{
    fp_buf_dispose(&f->out);
    ck_assert_msg(fp_pipelines_resolve(f->pls, pipeline, type, &f->out, &f->err) == FILEPROC_OK,
                  "%s", f->err.message);
    return f->out.data;
}

/* Refusals say the place and leave the output as it was. */
static void refuses(fixture *f, const char *pipeline, const char *type, const char *reason,
                    const char *message)
{
    fp_status rc;

    fp_buf_dispose(&f->out);
    ck_assert_int_eq(fp_buf_append(f->ctx, &f->out, "before", 6, NULL), FILEPROC_OK);
    rc = fp_pipelines_resolve(f->pls, pipeline, type, &f->out, &f->err);
    ck_assert_msg(rc < 0, "%s gave %s", pipeline, f->out.data);
    ck_assert_int_eq(f->err.code, rc);
    ck_assert_str_eq(f->err.message, message);
    ck_assert_str_eq(fp_error_reason(&f->err), reason);
    ck_assert_int_eq(fp_pipelines_resolve(f->pls, pipeline, type, &f->out, NULL), rc);
    ck_assert_str_eq(f->out.data, "before");
}

/* Opening with these definitions fails. */
static void open_refuses(const char *definitions, const char *reason, const char *message)
{
    fp_pipelines_options o = FILEPROC_PIPELINES_OPTIONS_INIT;
    fp_context *ctx = NULL;
    fp_pipelines *pls = NULL;
    fp_error err = { 0 };

    o.definitions = definitions;
    ck_assert_int_eq(fp_context_new(NULL, &ctx, &err), FILEPROC_OK);
    ck_assert_int_eq(fp_pipelines_open(ctx, &o, &pls, &err), FILEPROC_ERR_INVALID);
    ck_assert_str_eq(err.message, message);
    ck_assert_str_eq(fp_error_reason(&err), reason);
    ck_assert_ptr_null(pls);
    fp_context_free(ctx);
}

static void operation_refused(fp_operation op, const char *message)
{
    fp_context *ctx = NULL;
    fp_pipelines *pls = NULL;
    fp_error err = { 0 };

    op.struct_size = sizeof(op);
    op.run = never_run;
    ck_assert_int_eq(fp_context_new(NULL, &ctx, &err), FILEPROC_OK);
    ck_assert_int_eq(fp_context_add_operation(ctx, &op, &err), FILEPROC_OK);
    ck_assert_int_eq(fp_pipelines_open(ctx, NULL, &pls, &err), FILEPROC_ERR_INVALID);
    ck_assert_str_eq(err.message, message);
    ck_assert_ptr_null(pls);
    fp_context_free(ctx);
}

START_TEST(photos_get_facts_a_thumb_and_a_preview_by_default)
{
    fixture f;

    begin(&f, NULL, NULL);
    ck_assert_str_eq(
        resolve(&f, NULL, "image/jpeg"),
        "{\"name\":\"image\",\"steps\":[{\"name\":\"info\",\"operation\":\"image.info\",\"params\":{}},"
        "{\"name\":\"thumb\",\"operation\":\"image.resize\",\"params\":{\"width\":256,\"height\":256,"
        "\"fit\":\"inside\",\"format\":\"webp\",\"quality\":80,\"crop\":\"centre\",\"enlarge\":false,"
        "\"lossless\":false,\"keep_icc\":true,\"background\":\"#ffffff\",\"frames\":\"first\"}},"
        "{\"name\":\"preview\",\"operation\":\"image.resize\",\"params\":{\"width\":1600,\"height\":1600,"
        "\"fit\":\"inside\",\"format\":\"webp\",\"quality\":80,\"crop\":\"centre\",\"enlarge\":false,"
        "\"lossless\":false,\"keep_icc\":true,\"background\":\"#ffffff\",\"frames\":\"first\"}}]}");
    end(&f);
}
END_TEST

START_TEST(each_kind_of_file_has_its_default)
{
    static const char *const table[][2] = {
        { "image/png", "image" },          { "image/avif", "image" },
        { "Image/TIFF", "image" },         { "application/pdf", "pdf" },
        { "text/plain", "text" },          { "text/csv; charset=utf-8", "text" },
        { "application/zip", "archive" },  { "application/x-tar", "archive" },
        { "application/gzip", "archive" }, { "application/json", "text" },
    };
    static const char *const none[] = { "image/svg+xml", "video/mp4", "application/octet-stream" };
    fixture f;
    char start[64];

    begin(&f, NULL, NULL);
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        snprintf(start, sizeof(start), "{\"name\":\"%s\",", table[i][1]);
        ck_assert_msg(strncmp(resolve(&f, NULL, table[i][0]), start, strlen(start)) == 0, "%s: %s",
                      table[i][0], f.out.data);
    }
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
        ck_assert_msg(resolve(&f, NULL, none[i]) == NULL, "%s: %s", none[i], f.out.data);
    end(&f);
}
END_TEST

START_TEST(resolving_a_resolved_pipeline_changes_nothing)
{
    static const char *const types[] = { "image/png", "application/pdf", "text/csv",
                                         "application/zip" };
    fixture f;
    fp_buf once = FILEPROC_BUF_INIT;

    begin(&f, NULL, NULL);
    for (size_t i = 0; i < 4; i++) {
        fp_buf_dispose(&once);
        ck_assert_int_eq(fp_pipelines_resolve(f.pls, NULL, types[i], &once, &f.err), FILEPROC_OK);
        ck_assert_str_eq(resolve(&f, once.data, types[i]), once.data);
    }
    fp_buf_dispose(&once);
    end(&f);
}
END_TEST

START_TEST(inline_pipelines_are_completed)
{
    fixture f;

    begin(&f, &app_count, NULL);
    ck_assert_str_eq(
        resolve(&f, " \n{\"steps\":[{\"operation\":\"app.count\"}]}", NULL),
        "{\"name\":\"inline\",\"steps\":[{\"name\":\"app.count\",\"operation\":\"app.count\","
        "\"params\":{\"fold\":true}}]}");
    ck_assert_str_eq(
        resolve(
            &f,
            "{\"name\":\"mine\",\"steps\":[{\"operation\":\"app.count\",\"name\":\"a\"},"
            "{\"operation\":\"app.count\",\"name\":\"app.count\",\"params\":{\"word\":\"x\"}}]}",
            "Text/Plain"),
        "{\"name\":\"mine\",\"steps\":[{\"name\":\"a\",\"operation\":\"app.count\","
        "\"params\":{\"fold\":true}},{\"name\":\"app.count\",\"operation\":\"app.count\","
        "\"params\":{\"word\":\"x\",\"fold\":true}}]}");
    end(&f);
}
END_TEST

START_TEST(wrong_pipelines_are_refused_with_the_place)
{
    fixture f;
    char *text = malloc(70000);

    begin(&f, NULL, NULL);
    refuses(&f, "nothing", NULL, "pipeline_unknown", "there is no pipeline \"nothing\"");
    refuses(&f, "", NULL, "pipeline_unknown", "there is no pipeline \"\"");
    refuses(&f, "{", NULL, "pipeline_invalid",
            "pipeline: line 1, column 1: string or '}' expected near end of file");
    refuses(&f, "{}", NULL, "pipeline_invalid", "steps: is required");
    refuses(&f, "{\"steps\":{}}", NULL, "pipeline_invalid", "steps: must be an array");
    refuses(&f, "{\"steps\":[]}", NULL, "pipeline_invalid", "steps: must have at least 1 items");
    refuses(&f, "{\"steps\":[1]}", NULL, "pipeline_invalid", "steps[0]: must be an object");
    refuses(&f, "{\"steps\":[{}]}", NULL, "pipeline_invalid", "steps[0].operation: is required");
    refuses(&f, "{\"stepps\":[]}", NULL, "pipeline_invalid", "stepps: is not known here");
    refuses(&f, "{\"accepts\":[],\"steps\":[{\"operation\":\"image.info\"}]}", NULL,
            "pipeline_invalid", "accepts: is not known here");
    refuses(&f, "{\"steps\":[{\"operation\":\"image.info\",\"parameters\":{}}]}", NULL,
            "pipeline_invalid", "steps[0].parameters: is not known here");
    refuses(&f, "{\"steps\":[{\"operation\":\"image.info\",\"params\":[]}]}", NULL,
            "pipeline_invalid", "steps[0].params: must be an object");
    refuses(&f, "{\"steps\":[{\"operation\":\"image.melt\"}]}", NULL, "operation_unknown",
            "steps[0].operation: there is no operation \"image.melt\"");
    refuses(
        &f,
        "{\"steps\":[{\"operation\":\"image.info\"},{\"operation\":\"image.resize\",\"params\":{\"width\":16385}}]}",
        NULL, "parameter_invalid", "steps[1].params.width: must be at most 16384");
    refuses(&f, "{\"steps\":[{\"operation\":\"image.resize\"}]}", NULL, "parameter_invalid",
            "steps[0].params: must have width or height");
    refuses(&f, "{\"steps\":[{\"operation\":\"image.info\"},{\"operation\":\"image.info\"}]}", NULL,
            "pipeline_invalid",
            "steps[1].name: \"image.info\" is the name of steps[0] already; give the steps names");
    refuses(
        &f,
        "{\"steps\":[{\"name\":\"a\",\"operation\":\"image.info\"},{\"name\":\"a\",\"operation\":\"image.info\"}]}",
        NULL, "pipeline_invalid", "steps[1].name: \"a\" is the name of steps[0] already");
    refuses(&f, "{\"steps\":[{\"name\":\"../x\",\"operation\":\"image.info\"}]}", NULL,
            "pipeline_invalid", "steps[0].name: must be 1 to 40 characters of [a-z0-9_-]");
    refuses(&f, "{\"steps\":[{\"name\":\"pdf.info\",\"operation\":\"image.info\"}]}", NULL,
            "pipeline_invalid", "steps[0].name: must be 1 to 40 characters of [a-z0-9_-]");
    refuses(&f, "{\"name\":\"\",\"steps\":[{\"operation\":\"image.info\"}]}", NULL,
            "pipeline_invalid", "name: must be 1 to 40 characters of [a-z0-9_-]");
    refuses(&f, "{\"steps\":[{\"operation\":\"image.info\"},{\"operation\":\"pdf.info\"}]}",
            "image/png", "media_unsupported", "steps[1]: pdf.info does not take image/png");
    refuses(&f, "image", "text/plain", "media_unsupported",
            "steps[0]: image.info does not take text/plain");
    refuses(&f, NULL, "nonsense", "media_unsupported", "\"nonsense\" is no media type");
    refuses(&f, NULL, NULL, "invalid", "an argument is NULL");
    memset(text, ' ', 69999);
    text[0] = '{';
    text[69999] = '\0';
    refuses(&f, text, NULL, "pipeline_invalid", "pipeline: longer than 65536 bytes");
    free(text);
    end(&f);
}
END_TEST

START_TEST(pipelines_have_at_most_50_steps)
{
    fp_buf text = FILEPROC_BUF_INIT;
    fixture f;

    begin(&f, NULL, NULL);
    for (int count = 50; count <= 51; count++) {
        text.size = 0;
        ck_assert_int_eq(fpi_buf_text(f.ctx, &text, "{\"steps\":[", NULL), FILEPROC_OK);
        for (int i = 0; i < count; i++)
            ck_assert_int_eq(fpi_buf_printf(f.ctx, &text, NULL,
                                            "%s{\"name\":\"s%d\",\"operation\":\"image.info\"}",
                                            i ? "," : "", i),
                             FILEPROC_OK);
        ck_assert_int_eq(fpi_buf_text(f.ctx, &text, "]}", NULL), FILEPROC_OK);
        if (count == 50)
            resolve(&f, text.data, NULL);
        else
            refuses(&f, text.data, NULL, "pipeline_invalid", "steps: must have at most 50 items");
    }
    fp_buf_dispose(&text);
    end(&f);
}
END_TEST

/* Fifty steps with a long text each would not fit into a packet for the helper once they are completed. */
START_TEST(a_pipeline_that_grows_too_long_by_its_defaults_is_refused)
{
    static const char filler[] =
        "{\"type\":\"object\",\"properties\":{\"t\":{\"type\":\"string\",\"default\":\"%s\"}}}";
    char parameters[3000], value[2001], text[4000] = "{\"steps\":[";
    fp_operation op = { FILEPROC_OPERATION_INIT("app.long"), .accepts = "*", .run = never_run };
    fixture f;

    memset(value, 'x', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    snprintf(parameters, sizeof(parameters), filler, value);
    op.parameters = parameters;
    begin(&f, &op, NULL);
    for (int i = 0; i < 40; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text),
                 "%s{\"name\":\"s%d\",\"operation\":\"app.long\"}", i ? "," : "", i);
    strncat(text, "]}", sizeof(text) - strlen(text) - 1);
    refuses(&f, text, NULL, "pipeline_invalid",
            "with all parameters written out it is longer than 65536 bytes");
    end(&f);
}
END_TEST

START_TEST(wrong_definitions_stop_the_opening_with_the_place)
{
    char *text = malloc(1100000);

    open_refuses("nonsense", "pipeline_invalid",
                 "pipelines: line 1, column 8: invalid token near 'nonsense'");
    open_refuses("{}", "pipeline_invalid", "pipelines: must be an array of at most 200 pipelines");
    open_refuses("[1]", "pipeline_invalid", "pipelines[0]: must be an object");
    open_refuses("[{\"steps\":[{\"operation\":\"image.info\"}]}]", "pipeline_invalid",
                 "pipelines[0].name: is required");
    open_refuses("[{\"name\":\"inline\",\"steps\":[{\"operation\":\"image.info\"}]}]",
                 "pipeline_invalid",
                 "pipelines[0].name: \"inline\" is kept for pipelines without a name");
    open_refuses("[{\"name\":\"A\",\"steps\":[{\"operation\":\"image.info\"}]}]",
                 "pipeline_invalid", "pipelines[0].name: must be 1 to 40 characters of [a-z0-9_-]");
    open_refuses(
        "[{\"name\":\"a\",\"accepts\":[\"image/png\",\"IMAGE/*\"],\"steps\":[{\"operation\":\"image.info\"}]}]",
        "pipeline_invalid",
        "pipelines[0].accepts[1]: must be a media type in lower case, or one like image/*");
    open_refuses("[{\"name\":\"a\",\"steps\":[{\"operation\":\"image.info\"}]},"
                 "{\"name\":\"a\",\"steps\":[{\"operation\":\"image.info\"}]}]",
                 "pipeline_invalid", "pipelines[1].name: \"a\" is there already");
    open_refuses("[{\"name\":\"a\",\"steps\":[{\"operation\":\"image.melt\"}]}]",
                 "operation_unknown",
                 "pipelines[0].steps[0].operation: there is no operation \"image.melt\"");
    open_refuses(
        "[{\"name\":\"a\",\"steps\":[{\"operation\":\"image.resize\",\"params\":{\"width\":1,\"quality\":0}}]}]",
        "parameter_invalid", "pipelines[0].steps[0].params.quality: must be at least 1");
    memset(text, ' ', 1099999);
    text[1099999] = '\0';
    open_refuses(text, "pipeline_invalid", "pipelines: longer than 1048576 bytes");
    free(text);
}
END_TEST

START_TEST(own_definitions_replace_and_add_and_win)
{
    fixture f;

    begin(
        &f, NULL,
        "[{\"name\":\"image\",\"steps\":[{\"operation\":\"image.info\"}]},"
        "{\"name\":\"pictures\",\"accepts\":[\"image/*\"],\"steps\":[{\"operation\":\"image.info\"}]},"
        "{\"name\":\"pngs\",\"accepts\":[\"image/png\"],\"steps\":[{\"operation\":\"image.info\"}]},"
        "{\"name\":\"all\",\"accepts\":[\"*\"],\"steps\":[{\"operation\":\"file.type\"}]}]");
    /* The closest fit wins; own ones win over built-in ones even when these fit closer. */
    ck_assert_ptr_nonnull(strstr(resolve(&f, NULL, "image/png"), "\"pngs\""));
    ck_assert_ptr_nonnull(strstr(resolve(&f, NULL, "image/jpeg"), "\"pictures\""));
    ck_assert_ptr_nonnull(strstr(resolve(&f, NULL, "application/pdf"), "\"all\""));
    /* image.info doesn't take SVG, so "pictures" is no default for it. */
    ck_assert_ptr_nonnull(strstr(resolve(&f, NULL, "image/svg+xml"), "\"all\""));
    ck_assert_str_eq(
        resolve(&f, "image", "image/png"),
        "{\"name\":\"image\",\"steps\":[{\"name\":\"image.info\",\"operation\":\"image.info\",\"params\":{}}]}");
    ck_assert_ptr_nonnull(resolve(&f, "pdf", "application/pdf"));
    end(&f);
}
END_TEST

START_TEST(own_operations_may_not_have_the_name_of_a_built_in_one)
{
    static const fp_operation op = { FILEPROC_OPERATION_INIT("text.stats"), .accepts = "*",
                                     .run = never_run };
    fp_context *ctx = NULL;
    fp_pipelines *pls = NULL;
    fp_error err = { 0 };

    ck_assert_int_eq(fp_context_new(NULL, &ctx, &err), FILEPROC_OK);
    ck_assert_int_eq(fp_context_add_operation(ctx, &op, &err), FILEPROC_OK);
    ck_assert_int_eq(fp_pipelines_open(ctx, NULL, &pls, &err), FILEPROC_ERR_EXISTS);
    ck_assert_str_eq(err.message, "operation text.stats is built in");
    ck_assert_ptr_null(pls);
    fp_context_free(ctx);
}
END_TEST

START_TEST(wrong_operations_stop_the_opening)
{
    char long_name[80] = "app.";

    memset(long_name + 4, 'x', 75);
    operation_refused(
        (fp_operation){ .name = "App.count", .accepts = "*" },
        "operation App.count: a name is noun.verb in [a-z0-9_], at most 64 characters");
    operation_refused((fp_operation){ .name = "count", .accepts = "*" },
                      "operation count: a name is noun.verb in [a-z0-9_], at most 64 characters");
    operation_refused((fp_operation){ .name = "a.b.c", .accepts = "*" },
                      "operation a.b.c: a name is noun.verb in [a-z0-9_], at most 64 characters");
    operation_refused(
        (fp_operation){ .name = long_name, .accepts = "*" },
        "operation app.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: a name is noun.verb "
        "in [a-z0-9_], at most 64 characters");
    operation_refused(
        (fp_operation){ .name = "a.b" },
        "operation a.b: accepts must be media types in lower case, with commas between");
    operation_refused(
        (fp_operation){ .name = "a.b", .accepts = "text/plain,,text/csv" },
        "operation a.b: accepts must be media types in lower case, with commas between");
    operation_refused((fp_operation){ .name = "a.b", .accepts = "*", .info_key = "a b" },
                      "operation a.b: info_key must be 1 to 40 characters of [a-z0-9_]");
    operation_refused(
        (fp_operation){ .name = "a.b", .accepts = "*", .parameters = "{\"type\":\"array\"}" },
        "a.b.parameters: type must be \"object\"");
    operation_refused(
        (fp_operation){ .name = "a.b", .accepts = "*", .parameters = "{\"typ\":\"object\"}" },
        "a.b.parameters.typ: is not among the supported words of JSON Schema");
}
END_TEST

START_TEST(operations_whose_parameters_are_no_object_are_not_added)
{
    fp_operation op = { FILEPROC_OPERATION_INIT("a.b"), .accepts = "*", .parameters = "{",
                        .run = never_run };
    fp_error err = { 0 };
    fixture f;

    begin(&f, NULL, NULL);
    ck_assert_int_eq(fp_context_add_operation(f.ctx, &op, &err), FILEPROC_ERR_INVALID);
    ck_assert_str_eq(err.message,
                     "parameters: line 1, column 1: string or '}' expected near end of file");
    op.parameters = "[]";
    ck_assert_int_eq(fp_context_add_operation(f.ctx, &op, &err), FILEPROC_ERR_INVALID);
    op.parameters = NULL;
    ck_assert_int_eq(fp_context_add_operation(f.ctx, &op, &err), FILEPROC_OK);
    ck_assert_int_eq(fp_context_add_operation(f.ctx, &op, &err), FILEPROC_ERR_EXISTS);
    end(&f);
}
END_TEST

START_TEST(describe_lists_operations_sorted_and_pipelines)
{
    FPI_CLEANUP(json_t) all = NULL;
    const json_t *operations, *one;
    const char *before = "";
    size_t i;
    fixture f;

    begin(&f, &app_count, "[{\"name\":\"mine\",\"steps\":[{\"operation\":\"app.count\"}]}]");
    ck_assert_int_eq(fp_pipelines_describe(f.pls, &f.out, &f.err), FILEPROC_OK);
    all = json_loads(f.out.data, 0, NULL);
    operations = json_object_get(all, "operations");
    ck_assert_uint_eq(json_array_size(operations), fpi_builtin_operation_count + 2);
    json_array_foreach(operations, i, one) {
        const char *name = json_string_value(json_object_get(one, "name"));

        ck_assert_int_lt(strcmp(before, name), 0);
        before = name;
    }
    one = json_array_get(operations, 0);
    ck_assert_str_eq(json_string_value(json_object_get(one, "name")), "app.count");
    ck_assert_str_eq(json_string_value(json_object_get(one, "runs_in")), "process");
    ck_assert_str_eq(json_string_value(json_object_get(one, "info_key")), "count");
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(one, "accepts"), 1)),
                     "application/json");
    ck_assert(json_is_object(json_object_get(one, "parameters")));
    one = json_array_get(operations, 1);
    ck_assert_str_eq(json_string_value(json_object_get(one, "runs_in")), "helper");
    one = json_array_get(operations, json_array_size(operations) - 1);
    ck_assert_str_eq(json_string_value(json_object_get(one, "name")), "type.check");
    ck_assert_str_eq(json_string_value(json_object_get(one, "runs_in")), "process");
    one = json_array_get(json_object_get(all, "pipelines"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(one, "name")), "mine");
    ck_assert_uint_eq(json_array_size(json_object_get(all, "pipelines")), 5);
    end(&f);
}
END_TEST

START_TEST(wrong_arguments_answer_invalid)
{
    fp_pipelines_options o = FILEPROC_PIPELINES_OPTIONS_INIT;
    fp_pipelines *pls = NULL;
    char path[5000];
    fixture f;

    begin(&f, NULL, NULL);
    ck_assert_int_eq(fp_pipelines_open(NULL, NULL, &pls, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_pipelines_open(f.ctx, NULL, NULL, NULL), FILEPROC_ERR_INVALID);
    o.struct_size = 0;
    ck_assert_int_eq(fp_pipelines_open(f.ctx, &o, &pls, NULL), FILEPROC_ERR_INVALID);
    o = (fp_pipelines_options)FILEPROC_PIPELINES_OPTIONS_INIT;
    o.temporary_folder = "";
    ck_assert_int_eq(fp_pipelines_open(f.ctx, &o, &pls, NULL), FILEPROC_ERR_INVALID);
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    o.temporary_folder = NULL;
    o.helper_path = path;
    ck_assert_int_eq(fp_pipelines_open(f.ctx, &o, &pls, NULL), FILEPROC_ERR_INVALID);
    ck_assert_ptr_null(pls);
    ck_assert_int_eq(fp_pipelines_resolve(NULL, "image", NULL, &f.out, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_pipelines_resolve(f.pls, "image", NULL, NULL, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_pipelines_describe(NULL, &f.out, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_pipelines_describe(f.pls, NULL, NULL), FILEPROC_ERR_INVALID);
    fp_pipelines_free(NULL);
    end(&f);
}
END_TEST

START_TEST(options_of_an_older_caller_keep_our_defaults)
{
    fp_pipelines_options o = FILEPROC_PIPELINES_OPTIONS_INIT;
    fp_pipelines *pls = NULL;
    fixture f;

    begin(&f, NULL, NULL);
    o.helper_path = "/some/where";
    o.definitions = "not read: it lies beyond what the caller knew";
    o.struct_size = offsetof(fp_pipelines_options, definitions);
    ck_assert_int_eq(fp_pipelines_open(f.ctx, &o, &pls, NULL), FILEPROC_OK);
    ck_assert_str_eq(pls->o.helper_path, "/some/where");
    ck_assert_uint_eq(pls->o.wall_clock_ms, 120000);
    fp_pipelines_free(pls);
    end(&f);
}
END_TEST

/* Opens and uses it, under one injected failure. */
static fp_status open_and_use(fp_context *ctx, fp_buf *out, fp_error *err)
{
    fp_pipelines_options o = FILEPROC_PIPELINES_OPTIONS_INIT;
    FPI_CLEANUP(fp_pipelines) pls = NULL;
    size_t before = out->size;
    fp_status rc;

    o.helper_path = "/some/where";
    o.temporary_folder = "/tmp";
    o.definitions = "[{\"name\":\"mine\",\"steps\":[{\"operation\":\"app.count\"}]}]";
    rc = fp_pipelines_open(ctx, &o, &pls, err);
    if (rc < 0) {
        ck_assert_ptr_null(pls);
        return rc;
    }
    rc = fp_pipelines_resolve(pls, NULL, "image/png", out, err);
    ck_assert(rc == FILEPROC_OK || out->size == before);
    before = out->size;
    if (rc == FILEPROC_OK)
        rc = fp_pipelines_resolve(pls, "{\"steps\":[{\"operation\":\"app.count\"}]}", NULL, out,
                                  err);
    ck_assert(rc == FILEPROC_OK || out->size == before);
    before = out->size;
    if (rc == FILEPROC_OK)
        rc = fp_pipelines_describe(pls, out, err);
    ck_assert(rc == FILEPROC_OK || out->size == before);
    return rc;
}

START_TEST(open_resolve_and_describe_survive_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
        fp_buf out = FILEPROC_BUF_INIT;
        fp_context *ctx = NULL;
        fp_error err = { 0 };
        fp_status rc;

        fault_disarm(&f);
        o.allocator = &f.allocator;
        ck_assert_int_eq(fp_context_new(&o, &ctx, &err), FILEPROC_OK);
        ck_assert_int_eq(fp_context_add_operation(ctx, &app_count, &err), FILEPROC_OK);
        fault_arm(&f);
        rc = open_and_use(ctx, &out, &err);
        fault_judge(&f, rc, &err);
        fp_buf_dispose(&out);
        fp_context_free(ctx);
    }
}
END_TEST

enum { THREADS = 4, ROUNDS = 200 };

static void *resolve_all_day(void *pls)
{
    for (int i = 0; i < ROUNDS; i++) {
        fp_buf out = FILEPROC_BUF_INIT;

        ck_assert_int_eq(fp_pipelines_resolve(pls, NULL, "image/png", &out, NULL), FILEPROC_OK);
        ck_assert_int_eq(fp_pipelines_resolve(pls, "image", "image/png", &out, NULL), FILEPROC_OK);
        ck_assert_int_eq(fp_pipelines_resolve(pls, "{\"steps\":[{\"operation\":\"pdf.text\"}]}",
                                              NULL, &out, NULL),
                         FILEPROC_OK);
        if (i % 50 == 0)
            ck_assert_int_eq(fp_pipelines_describe(pls, &out, NULL), FILEPROC_OK);
        fp_buf_dispose(&out);
    }
    return NULL;
}

/* Under ThreadSanitizer: threads share no count of references. */
START_TEST(many_threads_resolve_at_once)
{
    pthread_t threads[THREADS];
    fixture f;

    begin(&f, NULL, NULL);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, resolve_all_day, f.pls), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    end(&f);
}
END_TEST

RUN_TESTS("pipelines", photos_get_facts_a_thumb_and_a_preview_by_default,
          each_kind_of_file_has_its_default, resolving_a_resolved_pipeline_changes_nothing,
          inline_pipelines_are_completed, wrong_pipelines_are_refused_with_the_place,
          pipelines_have_at_most_50_steps,
          a_pipeline_that_grows_too_long_by_its_defaults_is_refused,
          wrong_definitions_stop_the_opening_with_the_place,
          own_definitions_replace_and_add_and_win,
          own_operations_may_not_have_the_name_of_a_built_in_one, wrong_operations_stop_the_opening,
          operations_whose_parameters_are_no_object_are_not_added,
          describe_lists_operations_sorted_and_pipelines, wrong_arguments_answer_invalid,
          options_of_an_older_caller_keep_our_defaults,
          open_resolve_and_describe_survive_every_allocation_failure, many_threads_resolve_at_once)
