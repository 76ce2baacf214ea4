/* Owns: what the library knows of the operations that run in the helper program: their names, types and parameters.
 * Must not know: how any of them works. What a schema can't say is checked by the helper (docs/internals/media-helper.md). */
#include "pipeline/operation_builtin.h"

/* What libvips decodes with its own, well-tested loaders. SVG, PDF, JPEG 2000, JPEG XL and whatever ImageMagick reads are left out
 * on purpose: see "untrusted" in docs/internals/media-helper.md. */
#define IMAGES                                                                                     \
    "image/jpeg,image/png,image/webp,image/avif,image/gif,image/tiff,image/heic,image/heif"
#define PDFS "application/pdf,application/x-pdf"
#define TEXTS                                                                                      \
    "text/*,application/json,application/x-ndjson,application/ld+json,application/geo+json,"       \
    "application/xml,application/yaml,application/x-yaml,application/toml,application/sql,"        \
    "application/csv,application/javascript"
/* Office documents, e-books and Java archives are zip files. */
#define ARCHIVES                                                                                   \
    "application/zip,application/x-zip,application/x-zip-compressed,application/x-tar,"            \
    "application/x-gtar,application/gzip,application/x-gzip,application/x-compressed-tar,"         \
    "application/bzip2,application/x-bzip2,application/x-bzip-compressed-tar,application/x-xz,"    \
    "application/x-xz-compressed-tar,application/zstd,application/x-zstd,"                         \
    "application/x-zstd-compressed-tar,application/java-archive,application/epub+zip,"             \
    "application/vnd.oasis.opendocument.text,application/vnd.oasis.opendocument.spreadsheet,"      \
    "application/vnd.oasis.opendocument.presentation,"                                             \
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document,"                     \
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet,"                           \
    "application/vnd.openxmlformats-officedocument.presentationml.presentation"

#define OBJECT(members)                                                                            \
    "{\"type\":\"object\",\"properties\":{" members "},\"additionalProperties\":false}"
#define OBJECT_REQUIRING(required, members)                                                        \
    "{\"type\":\"object\",\"required\":[" required "],\"properties\":{" members                    \
    "},\"additionalProperties\":false}"
#define INTEGER(name, low, high)                                                                   \
    "\"" name "\":{\"type\":\"integer\",\"minimum\":" #low ",\"maximum\":" #high "}"
#define INTEGER_OR(name, low, high, standard)                                                      \
    "\"" name "\":{\"type\":\"integer\",\"minimum\":" #low ",\"maximum\":" #high                   \
    ",\"default\":" #standard "}"
#define BOOLEAN_OR(name, standard) "\"" name "\":{\"type\":\"boolean\",\"default\":" #standard "}"
#define MATCHING_OR(name, pattern, longest, standard)                                              \
    "\"" name "\":{\"type\":\"string\",\"pattern\":\"" pattern "\",\"maxLength\":" #longest        \
    ",\"default\":\"" standard "\"}"
#define CHOICE(name, values) "\"" name "\":{\"type\":\"string\",\"enum\":[" values "]}"
#define CHOICE_OR(name, values, standard)                                                          \
    "\"" name "\":{\"type\":\"string\",\"enum\":[" values "],\"default\":\"" standard "\"}"

#define OBJECT_WITH_ANY(alternatives, members)                                                     \
    "{\"type\":\"object\",\"anyOf\":[" alternatives "],\"properties\":{" members                   \
    "},\"additionalProperties\":false}"
#define REQUIRING(name) "{\"required\":[\"" name "\"]}"

/* As media_param.c and media_pages.c read them. That a range goes upwards only they can see. */
#define COLOUR "^#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$"
#define PAGE "[1-9][0-9]{0,6}"
#define PAGE_RANGE PAGE "(-(" PAGE ")?)?"
#define PAGES "^(all|" PAGE_RANGE "(," PAGE_RANGE ")*)$"

#define IMAGE_FORMATS "\"jpeg\",\"png\",\"webp\",\"avif\",\"gif\",\"tiff\""
#define PAGE_FORMATS "\"webp\",\"png\",\"jpeg\""
/* What all that writes pictures has in common. */
#define SAVING                                                                                     \
    INTEGER_OR("quality", 1, 100, 80)                                                              \
    "," BOOLEAN_OR("lossless", false) "," BOOLEAN_OR("keep_icc", true) "," MATCHING_OR(            \
        "background", COLOUR, 7, "#ffffff") "," CHOICE_OR("frames", "\"first\",\"all\"", "first")
#define BOX INTEGER("width", 1, 16384) "," INTEGER("height", 1, 16384)

const fpi_builtin_operation fpi_builtin_operations[] = {
    { "archive.list", ARCHIVES, OBJECT(""), "archive" },
    { "file.type", "*", OBJECT(""), NULL },
    { "image.convert", IMAGES,
      OBJECT_REQUIRING("\"format\"", CHOICE("format", IMAGE_FORMATS) "," SAVING), NULL },
    { "image.info", IMAGES, OBJECT(""), "image" },
    /* Without format the input's own is kept where it can be written. */
    { "image.resize", IMAGES,
      OBJECT_WITH_ANY(
          REQUIRING("width") "," REQUIRING("height"),
          BOX "," CHOICE_OR("fit", "\"inside\",\"cover\",\"fill\"", "inside") "," CHOICE_OR(
              "crop", "\"centre\",\"attention\",\"entropy\"",
              "centre") "," BOOLEAN_OR("enlarge", false) "," CHOICE("format",
                                                                    IMAGE_FORMATS) "," SAVING),
      NULL },
    { "pdf.info", PDFS, OBJECT(""), "pdf" },
    /* With width or height the page is fitted into that box, and dpi doesn't count. */
    { "pdf.render", PDFS,
      OBJECT(MATCHING_OR("pages", PAGES, 1000, "1") "," INTEGER_OR(
          "dpi", 1, 1200, 150) "," BOX "," CHOICE_OR("format", PAGE_FORMATS,
                                                     "webp") "," INTEGER_OR("quality", 1, 100, 80)),
      NULL },
    { "pdf.text", PDFS, OBJECT(MATCHING_OR("pages", PAGES, 1000, "all")), "text" },
    { "text.stats", TEXTS, OBJECT(""), "text" },
};

const size_t fpi_builtin_operation_count =
    sizeof(fpi_builtin_operations) / sizeof(*fpi_builtin_operations);
