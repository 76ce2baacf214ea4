/* Owns: which EXIF fields are told, and how they read.
 * Must not know: anything else of a picture. */
#include "media/media_image.h"

#include <ctype.h>
#include <string.h>

#include <libexif/exif-data.h>

#include "media/media_error.h"

#define EXIF_MAX (1u << 20)
#define TEXT_MAX 128u

/* The block may come with or without "Exif\0\0" in front, which libexif wants. */
static ExifData *load(const unsigned char *data, size_t size)
{
    ExifData *exif = exif_data_new();
    static const unsigned char mark[] = { 'E', 'x', 'i', 'f', 0, 0 };
    unsigned char *whole;

    if (!exif)
        return NULL;
    exif_data_unset_option(exif, EXIF_DATA_OPTION_FOLLOW_SPECIFICATION);
    if (size >= 6 && memcmp(data, mark, sizeof(mark)) == 0) {
        exif_data_load_data(exif, data, (unsigned)size);
        return exif;
    }
    whole = fpi_alloc(&fpi_default_allocator, size + 6);
    if (!whole) {
        exif_data_unref(exif);
        return NULL;
    }
    memcpy(whole, mark, sizeof(mark));
    memcpy(whole + 6, data, size);
    exif_data_load_data(exif, whole, (unsigned)(size + 6));
    fpi_free(&fpi_default_allocator, whole);
    return exif;
}

static ExifEntry *find(ExifData *exif, ExifIfd ifd, ExifTag tag, ExifFormat format, size_t bytes)
{
    ExifEntry *e = exif_content_get_entry(exif->ifd[ifd], tag);

    return e && e->format == format && e->data && e->size >= bytes && e->components > 0 ? e : NULL;
}

static json_t *text_of(ExifData *exif, ExifIfd ifd, ExifTag tag)
{
    ExifEntry *e = find(exif, ifd, tag, EXIF_FORMAT_ASCII, 1);
    char raw[TEXT_MAX + 1];
    size_t size;

    if (!e)
        return NULL;
    size = strnlen((const char *)e->data, e->size < TEXT_MAX ? e->size : TEXT_MAX);
    memcpy(raw, e->data, size);
    while (size > 0 && isspace((unsigned char)raw[size - 1])) /* cameras pad */
        size--;
    raw[size] = '\0';
    return size ? fpi_media_json_text(raw, TEXT_MAX) : NULL;
}

static bool rational_of(ExifData *exif, ExifTag tag, ExifRational *value)
{
    ExifEntry *e = find(exif, EXIF_IFD_EXIF, tag, EXIF_FORMAT_RATIONAL, 8);

    if (!e)
        return false;
    *value = exif_get_rational(e->data, exif_data_get_byte_order(exif));
    return value->denominator != 0;
}

static json_t *number_of(ExifData *exif, ExifTag tag)
{
    ExifRational r;

    return rational_of(exif, tag, &r) && r.numerator
               ? json_real((double)r.numerator / r.denominator)
               : NULL;
}

static json_t *short_of(ExifData *exif, ExifTag tag)
{
    ExifEntry *e = find(exif, EXIF_IFD_EXIF, tag, EXIF_FORMAT_SHORT, 2);
    ExifShort value = e ? exif_get_short(e->data, exif_data_get_byte_order(exif)) : 0;

    return value ? json_integer(value) : NULL;
}

/* "1/250", as a photographer says it; whole seconds as "4". */
static json_t *exposure_text(ExifData *exif)
{
    ExifRational r;
    double seconds;

    if (!rational_of(exif, EXIF_TAG_EXPOSURE_TIME, &r) || r.numerator == 0)
        return NULL;
    seconds = (double)r.numerator / r.denominator;
    return seconds < 0.4 ? json_sprintf("1/%.0f", 1 / seconds) : json_sprintf("%.4g", seconds);
}

/* "2008:05:05 22:38:49" becomes "2008-05-05T22:38:49": local time of a camera that seldom knows where it is, unless it wrote an offset. */
static json_t *taken_at(ExifData *exif)
{
    const ExifTag offset_time_original = (ExifTag)0x9011;
    ExifEntry *e = find(exif, EXIF_IFD_EXIF, EXIF_TAG_DATE_TIME_ORIGINAL, EXIF_FORMAT_ASCII, 19);
    ExifEntry *o = find(exif, EXIF_IFD_EXIF, offset_time_original, EXIF_FORMAT_ASCII, 6);
    char text[32];
    int used = 0;

    if (!e)
        return NULL;
    memcpy(text, e->data, 19);
    text[19] = '\0';
    if (sscanf(text, "%*4d:%*2d:%*2d %*2d:%*2d:%*2d%n", &used) < 0 || used != 19)
        return NULL;
    text[4] = text[7] = '-';
    text[10] = 'T';
    if (o && strspn((const char *)o->data, "+-0123456789:") >= 6) {
        memcpy(text + 19, o->data, 6);
        text[25] = '\0';
    }
    return fpi_media_json_text(text, sizeof(text));
}

static bool add(json_t *object, const char *key, json_t *value)
{
    return !value || json_object_set_new(object, key, value) == 0;
}

/* Left out: GPS, serial numbers of body and lens, owner, artist, copyright, comments, maker notes, thumbnails. */
static json_t *facts_of(ExifData *exif)
{
    FPI_CLEANUP(json_t) facts = json_object();
    const ExifTag lens_make = (ExifTag)0xA433, lens_model = (ExifTag)0xA434;

    if (!facts || !add(facts, "make", text_of(exif, EXIF_IFD_0, EXIF_TAG_MAKE)) ||
        !add(facts, "model", text_of(exif, EXIF_IFD_0, EXIF_TAG_MODEL)) ||
        !add(facts, "lens_make", text_of(exif, EXIF_IFD_EXIF, lens_make)) ||
        !add(facts, "lens_model", text_of(exif, EXIF_IFD_EXIF, lens_model)) ||
        !add(facts, "taken_at", taken_at(exif)) || !add(facts, "exposure", exposure_text(exif)) ||
        !add(facts, "exposure_seconds", number_of(exif, EXIF_TAG_EXPOSURE_TIME)) ||
        !add(facts, "f_number", number_of(exif, EXIF_TAG_FNUMBER)) ||
        !add(facts, "iso", short_of(exif, EXIF_TAG_ISO_SPEED_RATINGS)) ||
        !add(facts, "focal_length_mm", number_of(exif, EXIF_TAG_FOCAL_LENGTH)) ||
        !add(facts, "focal_length_35mm", short_of(exif, EXIF_TAG_FOCAL_LENGTH_IN_35MM_FILM)))
        return NULL;
    return fpi_steal(&facts);
}

json_t *fpi_media_exif_facts(VipsImage *image)
{
    const void *data;
    size_t size;
    ExifData *exif;
    json_t *facts;

    if (!vips_image_get_typeof(image, VIPS_META_EXIF_NAME) ||
        vips_image_get_blob(image, VIPS_META_EXIF_NAME, &data, &size) != 0 || size < 8 ||
        size > EXIF_MAX)
        return json_object();
    exif = load(data, size);
    facts = exif ? facts_of(exif) : NULL;
    if (exif)
        exif_data_unref(exif);
    return facts;
}
