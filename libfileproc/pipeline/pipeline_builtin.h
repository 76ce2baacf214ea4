/* Owns: the pipelines that are there without any configuration.
 * Must not know: how they are checked or run. */
#ifndef FPI_PIPELINE_BUILTIN_H
#define FPI_PIPELINE_BUILTIN_H

/** JSON array in the form of fp_pipelines_options.definitions. */
extern const char fpi_builtin_pipelines[];

#endif
