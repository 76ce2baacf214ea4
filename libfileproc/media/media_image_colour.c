/* Owns: colour: which spaces are scaled as they are, how profiles are kept or applied, how alpha is put on a background.
 * Must not know: sizes, files. */
#include "media/media_image.h"

/* Every step here is "picture in, picture out": on success the old one is dropped. A pointer to what was made, because the call that makes
 * it stands in the same list of arguments, and nothing says which of them is looked at first. */
static fp_status replace(VipsImage **image, int failed, VipsImage *const *made, fp_error *err)
{
    if (failed)
        return fpi_media_image_damaged(err);
    g_object_unref(*image);
    *image = *made;
    return FILEPROC_OK;
}

static bool is_grey(const VipsImage *image)
{
    return image->Bands < 3;
}

static fp_status keep_bands(VipsImage **image, int count, fp_error *err)
{
    VipsImage *made = NULL;

    if ((*image)->Bands <= count)
        return FILEPROC_OK;
    return replace(image, vips_extract_band(*image, &made, 0, "n", count, NULL), &made, err);
}

static fp_status convert_space(VipsImage **image, VipsInterpretation space, fp_error *err)
{
    VipsImage *made = NULL;

    if ((*image)->Type == space)
        return FILEPROC_OK;
    return replace(image, vips_colourspace(*image, &made, space, NULL), &made, err);
}

static fp_status cast(VipsImage **image, VipsBandFormat format, fp_error *err)
{
    VipsImage *made = NULL;

    if ((*image)->BandFmt == format)
        return FILEPROC_OK;
    return replace(image, vips_cast(*image, &made, format, NULL), &made, err);
}

static bool is_simple(const VipsImage *image)
{
    VipsInterpretation t = image->Type;

    return image->Coding == VIPS_CODING_NONE && image->BandFmt == VIPS_FORMAT_UCHAR &&
           image->Bands <= 4 &&
           (t == VIPS_INTERPRETATION_sRGB || t == VIPS_INTERPRETATION_B_W ||
            t == VIPS_INTERPRETATION_CMYK);
}

static bool is_deep(const VipsImage *image)
{
    VipsInterpretation t = image->Type;

    return image->Coding == VIPS_CODING_NONE && image->BandFmt == VIPS_FORMAT_USHORT &&
           image->Bands <= 4 && (t == VIPS_INTERPRETATION_RGB16 || t == VIPS_INTERPRETATION_GREY16);
}

/* Nobody said what the bands mean: the first one or three are taken for grey or red, green, blue. */
static fp_status guess_space(VipsImage **image, fp_error *err)
{
    VipsInterpretation space = is_grey(*image) ? VIPS_INTERPRETATION_B_W : VIPS_INTERPRETATION_sRGB;
    VipsImage *made = NULL;
    fp_status rc = keep_bands(image, is_grey(*image) ? 1 : 3, err);

    if (rc < 0)
        return rc;
    return replace(image, vips_copy(*image, &made, "interpretation", space, NULL), &made, err);
}

fp_status fpi_media_image_simplify(VipsImage **image, bool deep, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    if (is_simple(*image) || (deep && is_deep(*image)))
        return FILEPROC_OK;
    if ((*image)->Coding == VIPS_CODING_NONE &&
        vips_image_guess_interpretation(*image) == VIPS_INTERPRETATION_MULTIBAND)
        rc = guess_space(image, err);
    if (rc == FILEPROC_OK)
        rc = convert_space(
            image, is_grey(*image) ? VIPS_INTERPRETATION_B_W : VIPS_INTERPRETATION_sRGB, err);
    if (rc == FILEPROC_OK)
        rc = cast(image, VIPS_FORMAT_UCHAR, err);
    return rc < 0 ? rc : keep_bands(image, 4, err);
}

/* To sRGB, also what is grey. A profile that lcms refuses is as good as none. */
static fp_status apply_profile(VipsImage **image, fp_error *err)
{
    int depth = (*image)->BandFmt == VIPS_FORMAT_USHORT ? 16 : 8;
    VipsImage *made = NULL;

    if (vips_icc_transform(*image, &made, "srgb", "embedded", TRUE, "intent", VIPS_INTENT_RELATIVE,
                           "depth", depth, NULL) != 0) {
        vips_error_clear();
        return FILEPROC_OK;
    }
    return replace(image, 0, &made, err);
}

static fp_status drop_profile(VipsImage **image, fp_error *err)
{
    VipsImage *made = NULL;
    fp_status rc;

    if (!vips_image_get_typeof(*image, VIPS_META_ICC_NAME))
        return FILEPROC_OK;
    rc = replace(image, vips_copy(*image, &made, NULL), &made, err);
    if (rc == FILEPROC_OK)
        vips_image_remove(*image, VIPS_META_ICC_NAME);
    return rc;
}

/* CMYK is for presses: every result is shown on screens. libvips has a profile for CMYK that came without one. */
static fp_status leave_cmyk(VipsImage **image, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    if (vips_image_get_typeof(*image, VIPS_META_ICC_NAME))
        rc = apply_profile(image, err);
    if (rc == FILEPROC_OK)
        rc = convert_space(image, VIPS_INTERPRETATION_sRGB, err);
    if (rc == FILEPROC_OK)
        rc = cast(image, VIPS_FORMAT_UCHAR, err);
    return rc < 0 ? rc : drop_profile(image, err);
}

static bool is_colourful(const unsigned char colour[3])
{
    return colour[0] != colour[1] || colour[1] != colour[2];
}

static fp_status flatten(VipsImage **image, const unsigned char background[3], fp_error *err)
{
    double scale = (*image)->BandFmt == VIPS_FORMAT_USHORT ? 257 : 1;
    double colour[3] = { background[0] * scale, background[1] * scale, background[2] * scale };
    VipsBandFormat format = (*image)->BandFmt;
    VipsArrayDouble *values;
    VipsImage *made = NULL;
    fp_status rc = FILEPROC_OK;

    if (is_grey(*image) && is_colourful(background))
        rc = convert_space(image, scale > 1 ? VIPS_INTERPRETATION_RGB16 : VIPS_INTERPRETATION_sRGB,
                           err);
    if (rc < 0)
        return rc;
    values = vips_array_double_new(colour, is_grey(*image) ? 1 : 3);
    rc = replace(image,
                 vips_flatten(*image, &made, "background", values, "max_alpha", 255 * scale, NULL),
                 &made, err);
    vips_area_unref(VIPS_AREA(values));
    return rc < 0 ? rc : cast(image, format, err);
}

/* The profile's work is done; a picture that came grey stays grey where it can. */
static fp_status use_up_profile(VipsImage **image, bool stay_grey, fp_error *err)
{
    VipsBandFormat format = (*image)->BandFmt;
    VipsInterpretation space =
        format == VIPS_FORMAT_USHORT ? VIPS_INTERPRETATION_GREY16 : VIPS_INTERPRETATION_B_W;
    fp_status rc = apply_profile(image, err);

    if (rc == FILEPROC_OK && stay_grey && !is_grey(*image))
        rc = convert_space(image, space, err);
    if (rc == FILEPROC_OK)
        rc = cast(image, format, err);
    return rc < 0 ? rc : drop_profile(image, err);
}

fp_status fpi_media_image_finish_colour(VipsImage **image, const fpi_media_colour_options *options,
                                        fp_error *err)
{
    bool flat = options->flatten && vips_image_hasalpha(*image), grey = is_grey(*image);
    bool becomes_rgb = grey && (options->rgb_only || (flat && is_colourful(options->background)));
    fp_status rc = FILEPROC_OK;

    if ((*image)->Type == VIPS_INTERPRETATION_CMYK)
        rc = leave_cmyk(image, err);
    else if ((!options->keep_icc || becomes_rgb) &&
             vips_image_get_typeof(*image, VIPS_META_ICC_NAME))
        rc = use_up_profile(image, grey && !becomes_rgb, err);
    if (rc == FILEPROC_OK && flat)
        rc = flatten(image, options->background, err);
    return rc;
}
