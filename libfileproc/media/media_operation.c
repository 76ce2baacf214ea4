/* Owns: the names of the helper's operations and the functions behind them.
 * Must not know: how they work. */
#include "media/media_operation.h"

#include <string.h>

/* Names and parameters are described to the library by pipeline/operation_builtin.c. */
static const struct {
    const char *name;
    fpi_media_operation operation;
} operations[] = {
    { "archive.list", fpi_media_archive_list },   { "file.type", fpi_media_file_type },
    { "image.convert", fpi_media_image_convert }, { "image.info", fpi_media_image_info },
    { "image.resize", fpi_media_image_resize },   { "pdf.info", fpi_media_pdf_info },
    { "pdf.render", fpi_media_pdf_render },       { "pdf.text", fpi_media_pdf_text },
    { "text.stats", fpi_media_text_stats },
};

fpi_media_operation fpi_media_operation_find(const char *name)
{
    for (size_t i = 0; i < sizeof(operations) / sizeof(*operations); i++)
        if (strcmp(operations[i].name, name) == 0)
            return operations[i].operation;
    return NULL;
}
