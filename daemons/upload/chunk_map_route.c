/* Owns: the answer to which chunks of an upload are there and which are missing.
 * Must not know: how they arrive. */
#include "problem.h"
#include "reply.h"
#include "upload_routes.h"

/* Ranges of a page: what is asked for when nothing is said, and what that comes to as text. */
#define LIMIT_DEFAULT 1000
#define TEXT_MAX (1024u * 1024u)
#define INDEX_MAX                                                                                  \
    INT64_C(9007199254740991) /* what every JSON parser can tell from its neighbours */

static void write_ranges(fpd_text *json, const char *name, const fp_chunk_range *ranges,
                         size_t count)
{
    fpd_text_printf(json, ",\"%s\":[", name);
    for (size_t i = 0; i < count; i++)
        fpd_text_printf(json, "%s[%llu,%llu]", i ? "," : "", (unsigned long long)ranges[i].first,
                        (unsigned long long)ranges[i].last);
    fpd_text_string(json, "]");
}

static void answer_map(fpd_request *rq, const char *id, const fp_chunk_map *map)
{
    FPD_DISPOSE(fpd_text) json = FPD_TEXT_INIT(TEXT_MAX);

    fpd_text_printf(&json,
                    "{\"upload_id\":\"%s\",\"chunk_size\":%llu,\"total_chunks\":%llu,"
                    "\"chunks_uploaded\":%llu,\"chunks_missing\":%llu,\"from\":%llu,\"next\":",
                    id, (unsigned long long)map->chunk_size, (unsigned long long)map->total_chunks,
                    (unsigned long long)map->chunks_uploaded,
                    (unsigned long long)(map->total_chunks - map->chunks_uploaded),
                    (unsigned long long)map->first);
    if (map->next < map->total_chunks)
        fpd_text_printf(&json, "%llu", (unsigned long long)map->next);
    else
        fpd_text_string(&json, "null");
    write_ranges(&json, "durable", map->durable, map->durable_count);
    write_ranges(&json, "missing", map->missing, map->missing_count);
    fpd_text_string(&json, "}");
    fpd_reply_header(rq, "Cache-Control", "no-store");
    fpd_reply_json(rq, 200, &json);
}

void fpd_get_chunks(fpd_request *rq, void *user_data)
{
    fpd_app *app = user_data;
    int64_t from = 0, limit = LIMIT_DEFAULT;
    fp_chunk_map *map = NULL;
    fp_error err = { 0 };

    if (!fpd_request_query_integer(rq, "from", 0, INDEX_MAX, &from) ||
        !fpd_request_query_integer(rq, "limit", 1, FILEPROC_CHUNK_RANGES_MAX, &limit))
        return;
    if (fp_upload_map(app->uploads, rq->parameters[0], (uint64_t)from, (uint32_t)limit, &map,
                      &err) < 0) {
        fpd_upload_problem(rq, app, &err);
        return;
    }
    answer_map(rq, rq->parameters[0], map);
    fp_chunk_map_free(map);
}
