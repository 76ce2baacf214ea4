/* Owns: the pipelines that are there without any configuration, as data.
 * Must not know: how they are checked or run. */
#include "pipeline/pipeline_builtin.h"

/* A pipeline is only the default of a type that all of its operations take, so wide patterns are safe here: image/svg+xml
 * has no default although it matches. Office documents and Java archives could be listed as the zip files they are, but that
 * says nothing to anybody who uploads one: who wants it asks for it. */
const char fpi_builtin_pipelines[] =
    "[{\"name\":\"image\",\"accepts\":[\"image/*\"],\"steps\":["
    "{\"name\":\"info\",\"operation\":\"image.info\"},"
    "{\"name\":\"thumb\",\"operation\":\"image.resize\",\"params\":{\"width\":256,\"height\":256,"
    "\"fit\":\"inside\",\"format\":\"webp\",\"quality\":80}},"
    "{\"name\":\"preview\",\"operation\":\"image.resize\",\"params\":{\"width\":1600,\"height\":1600,"
    "\"fit\":\"inside\",\"format\":\"webp\",\"quality\":80}}]},"

    "{\"name\":\"pdf\",\"accepts\":[\"application/pdf\",\"application/x-pdf\"],\"steps\":["
    "{\"name\":\"info\",\"operation\":\"pdf.info\"},"
    "{\"name\":\"text\",\"operation\":\"pdf.text\"},"
    "{\"name\":\"preview\",\"operation\":\"pdf.render\",\"params\":{\"pages\":\"1\",\"width\":1024,"
    "\"height\":1024,\"format\":\"webp\",\"quality\":80}}]},"

    "{\"name\":\"text\",\"accepts\":[\"text/*\",\"application/csv\",\"application/json\","
    "\"application/x-ndjson\"],\"steps\":["
    "{\"name\":\"stats\",\"operation\":\"text.stats\"}]},"

    "{\"name\":\"archive\",\"accepts\":[\"application/zip\",\"application/x-zip\","
    "\"application/x-zip-compressed\",\"application/x-tar\",\"application/x-gtar\",\"application/gzip\","
    "\"application/x-gzip\",\"application/x-compressed-tar\",\"application/bzip2\","
    "\"application/x-bzip2\",\"application/x-bzip-compressed-tar\",\"application/x-xz\","
    "\"application/x-xz-compressed-tar\",\"application/zstd\",\"application/x-zstd\","
    "\"application/x-zstd-compressed-tar\"],\"steps\":["
    "{\"name\":\"entries\",\"operation\":\"archive.list\"}]}]";
