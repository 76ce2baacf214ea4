/* Owns: the one table of settings: names, types, defaults, help; values from environment and command line.
 * Must not know: what a setting does. Reads no environment by itself: the program hands it over. */
#ifndef FILEPROC_CONFIG_H
#define FILEPROC_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include <fileproc/buf.h>
#include <fileproc/context.h>

FILEPROC_BEGIN_DECLS

/** Values for all settings. One thread at a time while it is filled, then immutable and shared.
 *
 *  Each setting has an environment name (CHUNK_SIZE, upper case, compared exactly) and a command line option (--chunk-size;
 *  FILEPROC_ is left out: --port is FILEPROC_PORT). NAME_FILE names a file of at most 64 KiB that holds the value of NAME, for
 *  secrets; one line end at its end is cut off. Giving both is an error. The command line wins over the environment, which wins
 *  over the default, in whatever order they are loaded. docs/configuration.md lists every setting.
 *
 *  FILEPROC_HELP, FILEPROC_VERSION and FILEPROC_PRINT_CONFIG are switches of the command line only (--help or -h, --version,
 *  --print-config). The program looks at them with fp_config_int() after fp_config_load_arguments(), and does what they say;
 *  loading the arguments first lets --help work beside a broken environment. */
typedef struct fp_config fp_config;

/**
 * Make a configuration with every setting at its default.
 *
 * @param ctx  Borrowed; must outlive the configuration.
 * @param[out] out  Set only on success. The caller owns it: fp_config_free().
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK         Ready.
 * @retval FILEPROC_ERR_NOMEM  An allocation failed.
 * @par Blocking  Never.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API fp_status fp_config_new(fp_context *ctx, fp_config **out, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * Release a configuration; secrets are overwritten first.
 *
 * @param cfg  Taken; NULL is allowed.
 * @par Blocking  Never.
 * @par Threads   Nothing may run beside it.
 * @since 0.1
 */
FILEPROC_API void fp_config_free(fp_config *cfg);

/**
 * Take values from an environment: all, or on failure none. Unknown names are ignored, see
 * fp_config_knows(); an empty value counts as not given.
 *
 * @param cfg  Borrowed.
 * @param env  Borrowed: "NAME=value" strings, NULL at the end, such as environ.
 * @param[out] err  Filled only on failure, naming the setting. May be NULL.
 * @retval FILEPROC_OK           Taken.
 * @retval FILEPROC_ERR_INVALID  A value does not fit its setting's type or range.
 * @retval FILEPROC_ERR_IO       A NAME_FILE can't be read.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Disk, for NAME_FILE.
 * @par Threads   One thread at a time.
 * @since 0.1
 */
FILEPROC_API fp_status fp_config_load_environment(fp_config *cfg, const char *const *env,
                                                  fp_error *err) FILEPROC_NODISCARD;

/**
 * Whether an environment variable stands for a setting, so that a program can warn of a mistyped one.
 *
 * @param cfg       Borrowed.
 * @param variable  Borrowed: a name, or "NAME=value" as in environ; then the value is not looked at.
 * @return          1 for NAME and NAME_FILE of a setting; else 0.
 * @par Blocking  Never.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API int32_t fp_config_knows(const fp_config *cfg, const char *variable);

/**
 * The setting that a mistyped environment variable may have meant.
 *
 * @param cfg       Borrowed.
 * @param variable  Borrowed: as for fp_config_knows().
 * @return          A static name that differs in two letters at most; NULL when there is none.
 * @par Blocking  Never.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API const char *fp_config_nearest(const fp_config *cfg, const char *variable);

/**
 * Take values from a command line: all, or on failure none. --long-option value, --long-option=value; a switch stands alone
 * or takes its value behind '='. Of an option given twice the last one counts.
 *
 * @param cfg   Borrowed.
 * @param argc  Count of argv.
 * @param argv  Borrowed; argv[0] is skipped.
 * @param[out] err  Filled only on failure, naming the option. May be NULL.
 * @retval FILEPROC_OK           Taken.
 * @retval FILEPROC_ERR_INVALID  Unknown option, value missing, or value wrong.
 * @retval FILEPROC_ERR_IO       A --name-file can't be read.
 * @retval FILEPROC_ERR_NOMEM    An allocation failed.
 * @par Blocking  Disk, for --name-file.
 * @par Threads   One thread at a time.
 * @since 0.1
 */
FILEPROC_API fp_status fp_config_load_arguments(fp_config *cfg, int32_t argc,
                                                const char *const *argv, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * Set one value. It wins over the command line and the environment, also over those loaded later.
 *
 * @param cfg    Borrowed.
 * @param name   Borrowed: the environment name.
 * @param value  Borrowed: as text.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK            Set.
 * @retval FILEPROC_ERR_NOTFOUND  No such setting.
 * @retval FILEPROC_ERR_INVALID   The value does not fit; the old one stays.
 * @retval FILEPROC_ERR_NOMEM     An allocation failed; the old one stays.
 * @par Blocking  Never.
 * @par Threads   One thread at a time.
 * @since 0.1
 */
FILEPROC_API fp_status fp_config_set(fp_config *cfg, const char *name, const char *value,
                                     fp_error *err) FILEPROC_NODISCARD;

/**
 * A setting as text: lists as items with commas between, switches as true or false, words as the help spells them, all
 * else as it was given.
 *
 * @param cfg   Borrowed.
 * @param name  Borrowed: the environment name.
 * @return      Borrowed from cfg until it is set again; "" when empty; NULL when there is no such setting.
 * @par Blocking  Never.
 * @par Threads   Any, while nobody changes cfg.
 * @since 0.1
 */
FILEPROC_API const char *fp_config_string(const fp_config *cfg, const char *name);

/**
 * A setting as a number: integers as they are ("auto" is -1), sizes in bytes ("5MiB" = 5242880), durations in milliseconds,
 * switches 0 or 1, words by their place in the help's list (LOG_LEVEL: DEBUG 0, INFO 1, WARNING 2, ERROR 3, CRITICAL 4).
 *
 * @param cfg   Borrowed.
 * @param name  Borrowed: the environment name.
 * @return      The number; 0 when there is no such setting or it is text.
 * @par Blocking  Never.
 * @par Threads   Any, while nobody changes cfg.
 * @since 0.1
 */
FILEPROC_API int64_t fp_config_int(const fp_config *cfg, const char *name);

/**
 * Write the help: every setting with option, environment name, default and meaning.
 *
 * @param cfg  Borrowed.
 * @param[in,out] out  Borrowed; text is appended.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK         Appended.
 * @retval FILEPROC_ERR_NOMEM  An allocation failed; out is unchanged.
 * @par Blocking  Never.
 * @par Threads   Any, while nobody changes cfg.
 * @since 0.1
 */
FILEPROC_API fp_status fp_config_help(const fp_config *cfg, fp_buf *out, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * Write the settings in force as NAME=value lines, secrets and passwords in URIs masked.
 *
 * @param cfg  Borrowed.
 * @param[in,out] out  Borrowed; text is appended.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK         Appended.
 * @retval FILEPROC_ERR_NOMEM  An allocation failed; out is unchanged.
 * @par Blocking  Never.
 * @par Threads   Any, while nobody changes cfg.
 * @since 0.1
 */
FILEPROC_API fp_status fp_config_print(const fp_config *cfg, fp_buf *out, fp_error *err)
    FILEPROC_NODISCARD;

/**
 * Write the table of settings and the rules for values in Markdown, for docs/configuration.md.
 *
 * @param cfg  Borrowed.
 * @param[in,out] out  Borrowed; text is appended.
 * @param[out] err  Filled only on failure. May be NULL.
 * @retval FILEPROC_OK         Appended.
 * @retval FILEPROC_ERR_NOMEM  An allocation failed; out is unchanged.
 * @par Blocking  Never.
 * @par Threads   Any, while nobody changes cfg.
 * @since 0.1
 */
FILEPROC_API fp_status fp_config_markdown(const fp_config *cfg, fp_buf *out, fp_error *err)
    FILEPROC_NODISCARD;

FILEPROC_END_DECLS
#endif
