/* Owns: the names of the helper's operations and the functions behind them.
 * Must not know: how they work. */
#ifndef FPI_MEDIA_OPERATION_H
#define FPI_MEDIA_OPERATION_H

#include "media/media_run.h"

/* All are fpi_media_operation. */
fp_status fpi_media_archive_list(fpi_media_run *run, const fpi_media_step *step, json_t **result,
                                 fp_error *err);
fp_status fpi_media_file_type(fpi_media_run *run, const fpi_media_step *step, json_t **result,
                              fp_error *err);
fp_status fpi_media_image_convert(fpi_media_run *run, const fpi_media_step *step, json_t **result,
                                  fp_error *err);
fp_status fpi_media_image_info(fpi_media_run *run, const fpi_media_step *step, json_t **result,
                               fp_error *err);
fp_status fpi_media_image_resize(fpi_media_run *run, const fpi_media_step *step, json_t **result,
                                 fp_error *err);
fp_status fpi_media_pdf_info(fpi_media_run *run, const fpi_media_step *step, json_t **result,
                             fp_error *err);
fp_status fpi_media_pdf_render(fpi_media_run *run, const fpi_media_step *step, json_t **result,
                               fp_error *err);
fp_status fpi_media_pdf_text(fpi_media_run *run, const fpi_media_step *step, json_t **result,
                             fp_error *err);
fp_status fpi_media_text_stats(fpi_media_run *run, const fpi_media_step *step, json_t **result,
                               fp_error *err);

#endif
