/* Owns: the formats that are written, and encoding into an output file.
 * Must not know: where the pixels come from. */
#include "media/media_image.h"

#include <string.h>

#include "media/media_error.h"

typedef struct format_row {
    const char *type;
    const char *extension;
    int max_side; /* what the format itself can hold */
    bool animates, alpha, icc, grey;
} format_row;

static const format_row formats[] = {
    [FPI_MEDIA_JPEG] = { "image/jpeg", "jpg", 65500, false, false, true, true },
    [FPI_MEDIA_PNG] = { "image/png", "png", 1000000, false, true, true, true },
    [FPI_MEDIA_WEBP] = { "image/webp", "webp", 16383, true, true, true, false },
    [FPI_MEDIA_AVIF] = { "image/avif", "avif", 16384, false, true, true, false },
    [FPI_MEDIA_GIF] = { "image/gif", "gif", 65535, true, true, false, false },
    [FPI_MEDIA_TIFF] = { "image/tiff", "tiff", 1000000, true, true, true, true },
};

bool fpi_media_format_animates(fpi_media_format format)
{
    return formats[format].animates;
}

bool fpi_media_format_has_alpha(fpi_media_format format)
{
    return formats[format].alpha;
}

bool fpi_media_format_has_icc(fpi_media_format format)
{
    return formats[format].icc;
}

bool fpi_media_format_has_grey(fpi_media_format format)
{
    return formats[format].grey;
}

const char *fpi_media_format_type(fpi_media_format format)
{
    return formats[format].type;
}

const char *fpi_media_format_extension(fpi_media_format format)
{
    return formats[format].extension;
}

fp_status fpi_media_image_fits_format(fpi_media_format format, int width, int height, fp_error *err)
{
    if (width <= formats[format].max_side && height <= formats[format].max_side)
        return FILEPROC_OK;
    return fpi_media_fail(err, FILEPROC_REASON_PARAMETER_INVALID,
                          "%s can't hold %d x %d pixels: a side has at most %d",
                          fpi_media_format_names[format], width, height, formats[format].max_side);
}

static gint64 on_write(VipsTargetCustom *target, const void *data, gint64 size, void *out)
{
    (void)target;
    return fpi_media_output_write(out, data, (size_t)size) ? size : -1;
}

static gint64 on_read(VipsTargetCustom *target, void *data, gint64 size, void *out)
{
    (void)target;
    return fpi_media_output_read(out, data, (size_t)size);
}

static gint64 on_seek(VipsTargetCustom *target, gint64 offset, int whence, void *out)
{
    (void)target;
    return fpi_media_output_seek(out, offset, whence);
}

static VipsTarget *make_target(fpi_media_output *out)
{
    VipsTargetCustom *target = vips_target_custom_new();

    if (!target)
        return NULL;
    g_signal_connect(target, "write", G_CALLBACK(on_write), out);
    g_signal_connect(target, "read", G_CALLBACK(on_read), out);
    g_signal_connect(target, "seek", G_CALLBACK(on_seek), out);
    return VIPS_TARGET(target);
}

/* "strip" takes the profile along with the rest; so it is set only when there is none, and what else there is has been removed. */
static int encode(VipsImage *image, const fpi_media_save_options *o, gboolean strip,
                  VipsTarget *target)
{
    switch (o->format) {
    case FPI_MEDIA_JPEG:
        return vips_jpegsave_target(image, target, "Q", o->quality, "strip", strip, NULL);
    case FPI_MEDIA_PNG:
        return vips_pngsave_target(image, target, "strip", strip, NULL);
    case FPI_MEDIA_WEBP:
        return vips_webpsave_target(image, target, "Q", o->quality, "lossless", o->lossless,
                                    "strip", strip, NULL);
    case FPI_MEDIA_AVIF:
        return vips_heifsave_target(image, target, "Q", o->quality, "lossless", o->lossless,
                                    "strip", strip, "compression",
                                    VIPS_FOREIGN_HEIF_COMPRESSION_AV1, NULL);
    case FPI_MEDIA_GIF:
        return vips_gifsave_target(image, target, "strip", strip, NULL);
    case FPI_MEDIA_TIFF:
        return vips_tiffsave_target(image, target, "strip", strip, "compression",
                                    VIPS_FOREIGN_TIFF_COMPRESSION_DEFLATE, "predictor",
                                    VIPS_FOREIGN_TIFF_PREDICTOR_HORIZONTAL, NULL);
    case FPI_MEDIA_HEIC:
    case FPI_MEDIA_NO_FORMAT:
        break;
    }
    return -1;
}

static bool is_wanted(const char *field)
{
    static const char *const wanted[] = { VIPS_META_ICC_NAME, VIPS_META_PAGE_HEIGHT,
                                          VIPS_META_N_PAGES, "delay", "loop" };

    for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
        if (strcmp(field, wanted[i]) == 0)
            return true;
    return false;
}

/* The built-in fields (width, ...) can't be removed; trying is harmless. */
static VipsImage *without_metadata(VipsImage *image)
{
    VipsImage *copy = NULL;
    gchar **fields;

    if (vips_copy(image, &copy, NULL) != 0)
        return NULL;
    fields = vips_image_get_fields(copy);
    for (gchar **f = fields; f && *f; f++)
        if (!is_wanted(*f))
            vips_image_remove(copy, *f);
    g_strfreev(fields);
    return copy;
}

fp_status fpi_media_image_save(VipsImage *image, const fpi_media_save_options *o,
                               fpi_media_output *out, fp_error *err)
{
    FPI_CLEANUP(VipsImage) bare = without_metadata(image);
    VipsTarget *target;
    gboolean strip;
    int failed;
    fp_status rc;

    if (!bare)
        return fpi_media_image_damaged(err);
    target = make_target(out);
    if (!target)
        return fpi_media_no_memory(err);
    strip = vips_image_get_typeof(bare, VIPS_META_ICC_NAME) == 0;
    failed = encode(bare, o, strip, target);
    g_object_unref(target);
    rc = fpi_media_output_failure(out, err);
    if (rc == FILEPROC_OK && failed)
        return fpi_media_image_damaged(err);
    vips_error_clear();
    return rc;
}
