/* Owns: what the files of the configuration share: the table's rows, parsed values, the open configuration.
 * Must not know: what a setting does. */
#ifndef FPI_CONFIG_PRIVATE_H
#define FPI_CONFIG_PRIVATE_H

#include <stdbool.h>

#include <fileproc/config.h>

#include "core/context_private.h"

/** No value is longer, wherever it comes from. */
#define FPI_CONFIG_VALUE_MAX 65536u
/** An option's name with "--", "-file" and the NUL fits. */
#define FPI_CONFIG_LABEL_SIZE 96u

typedef enum fpi_setting_type {
    FPI_SETTING_TEXT,     /* min, max: bytes */
    FPI_SETTING_SECRET,   /* the same, masked wherever it is shown */
    FPI_SETTING_PATH,     /* the same */
    FPI_SETTING_URI,      /* the same; passwords in it are masked */
    FPI_SETTING_INTEGER,  /* min, max: the range */
    FPI_SETTING_SIZE,     /* min, max: bytes */
    FPI_SETTING_DURATION, /* min, max: milliseconds */
    FPI_SETTING_SWITCH,   /* 0 or 1 */
    FPI_SETTING_LIST,     /* min, max: items */
    FPI_SETTING_CHOICE    /* one of choices; its number is the position */
} fpi_setting_type;

typedef enum fpi_setting_group {
    FPI_GROUP_SERVER,
    FPI_GROUP_DATA,
    FPI_GROUP_UPLOADS,
    FPI_GROUP_JOBS,
    FPI_GROUP_MEDIA,
    FPI_GROUP_LOGGING,
    FPI_GROUP_COMMANDS, /* only on the command line, never shown as a setting in force */
    FPI_GROUP_COUNT
} fpi_setting_group;

/** One row of the table. The option is made from the name: fpi_setting_option(). */
typedef struct fpi_setting {
    const char *name; /* in the environment */
    fpi_setting_type type;
    fpi_setting_group group;
    const char *fallback; /* the default as text, in the form that parsing gives */
    int64_t min;
    int64_t max;
    const char *
        choices; /* CHOICE: words with one space between. INTEGER: "auto" when that stands for -1. */
    const char *help; /* sentences */
} fpi_setting;

typedef struct fpi_setting_table {
    const fpi_setting *rows;
    size_t count;
} fpi_setting_table;

/** Every setting there is. */
extern const fpi_setting_table fpi_settings;

/** Who gave a value; a greater one wins whatever the order of loading. */
typedef enum fpi_config_source {
    FPI_SOURCE_DEFAULT,
    FPI_SOURCE_ENVIRONMENT,
    FPI_SOURCE_ARGUMENTS,
    FPI_SOURCE_CALLER
} fpi_config_source;

typedef struct fpi_config_value {
    char *text; /* normalised */
    int64_t number;
    fpi_config_source source;
    bool from_file;
} fpi_config_value;

struct fp_config {
    fp_context *ctx;
    const fpi_setting_table *table;
    fpi_config_value values[]; /* one per row */
};

FPI_DEFINE_CLEANUP(fp_config, fp_config_free)

/** fp_config_new() with a table of one's own, which must outlive the configuration. */
fp_status fpi_config_new(fp_context *ctx, const fpi_setting_table *table, fp_config **out,
                         fp_error *err);

/** "--max-file-size" for MAX_FILE_SIZE, "--port" for FILEPROC_PORT. */
void fpi_setting_option(const fpi_setting *setting, char out[FPI_CONFIG_LABEL_SIZE]);

/**
 * Reads a value by its setting's type. label is what errors call it: the environment name or the option. value is set
 * only on success; its text belongs to the caller, to be released with fpi_config_wipe().
 */
fp_status fpi_config_parse(const fp_context *ctx, const fpi_setting *setting, const char *label,
                           const char *text, fpi_config_value *value, fp_error *err);

/** Overwrites a value's text and frees it. */
void fpi_config_wipe(const fp_context *ctx, fpi_config_value *value);

/** A size or duration in its largest whole unit: "5MiB", "90s". */
void fpi_config_quantity(const fpi_setting *setting, int64_t number, char out[32]);

#endif
