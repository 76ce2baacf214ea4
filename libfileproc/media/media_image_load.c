/* Owns: which decoder reads a picture, its header, and the limits that are checked before a pixel is decoded.
 * Must not know: what is done with the pixels. */
#include "media/media_image.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "media/media_error.h"
#include "media/media_sniff.h"

const char *const fpi_media_format_names[] = { "jpeg", "png",  "webp", "avif",
                                               "gif",  "tiff", "heic", NULL };
const char fpi_media_image_types[] =
    "image/jpeg,image/png,image/webp,image/avif,image/gif,image/tiff,image/heic,image/heif";

/* libvips would try all of its loaders, ImageMagick's among them; we name the one. */
static fpi_media_format heif_kind(const unsigned char *head, size_t size)
{
    static const char brands[] = "heic heix hevc hevx heim heis hevm hevs mif1 msf1 avif avis ";
    char brand[5] = "";
    const char *known;

    memcpy(brand, head + 8, 4);
    known = strstr(brands, brand);
    if (!known || strlen(brand) != 4)
        return FPI_MEDIA_NO_FORMAT;
    for (size_t at = 8; at + 4 <= size && at < ((size_t)head[2] << 8 | head[3]); at += 4)
        if (memcmp(head + at, "avif", 4) == 0 || memcmp(head + at, "avis", 4) == 0)
            return FPI_MEDIA_AVIF;
    return FPI_MEDIA_HEIC;
}

static fpi_media_format find_format(const unsigned char *head, size_t size)
{
    if (size < 12)
        return FPI_MEDIA_NO_FORMAT;
    if (memcmp(head, "\xFF\xD8\xFF", 3) == 0)
        return FPI_MEDIA_JPEG;
    if (memcmp(head, "\x89PNG\r\n\x1A\n", 8) == 0)
        return FPI_MEDIA_PNG;
    if (memcmp(head, "RIFF", 4) == 0 && memcmp(head + 8, "WEBP", 4) == 0)
        return FPI_MEDIA_WEBP;
    if (memcmp(head, "GIF87a", 6) == 0 || memcmp(head, "GIF89a", 6) == 0)
        return FPI_MEDIA_GIF;
    if (memcmp(head, "II*\0", 4) == 0 || memcmp(head, "MM\0*", 4) == 0 ||
        memcmp(head, "II+\0", 4) == 0 || memcmp(head, "MM\0+", 4) == 0)
        return FPI_MEDIA_TIFF;
    if (memcmp(head + 4, "ftyp", 4) == 0)
        return heif_kind(head, size);
    return FPI_MEDIA_NO_FORMAT;
}

/* Libraries have many words for it. Which of them is used is no proof, and what failed has given back its memory by now, so both count. */
static bool is_memory_failure(const char *text)
{
    static const char *const words[] = { "memory", "alloc", "creating thread" };

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (strcasestr(text, words[i]))
            return true;
    return fpi_media_memory_is_out();
}

fp_status fpi_media_image_damaged(fp_error *err)
{
    const char *text = vips_error_buffer();
    size_t length = strcspn(text, "\n");
    const char *colon = memchr(text, ':', length);

    if (is_memory_failure(text)) {
        vips_error_clear();
        return fpi_media_no_memory(err);
    }
    /* "VipsJpeg: Premature end of input file": the decoder's name says nothing to whoever sent the picture. */
    if (colon && colon[1] == ' ' && !memchr(text, ' ', (size_t)(colon - text))) {
        length -= (size_t)(colon + 2 - text);
        text = colon + 2;
    }
    fpi_media_fail(err, FILEPROC_REASON_MEDIA_DAMAGED, "the image is damaged: %.*s",
                   length < 140 ? (int)length : 140, length ? text : "it can't be decoded");
    vips_error_clear();
    return FILEPROC_ERR_INVALID;
}

/* A file that ends too early is an error, once its end is reached; what decoders only warn of is not: many cameras write such files. */
#define READING "access", VIPS_ACCESS_SEQUENTIAL, "fail_on", VIPS_FAIL_ON_TRUNCATED

static int open_source(fpi_media_format format, VipsSource *source,
                       const fpi_media_image_options *o, VipsImage **image)
{
    int frames = o->all_frames ? -1 : 1;

    switch (format) {
    case FPI_MEDIA_JPEG:
        return vips_jpegload_source(source, image, READING, "shrink", o->shrink, NULL);
    case FPI_MEDIA_PNG:
        return vips_pngload_source(source, image, READING, NULL);
    case FPI_MEDIA_WEBP:
        return vips_webpload_source(source, image, READING, "n", frames, NULL);
    case FPI_MEDIA_GIF:
        return vips_gifload_source(source, image, READING, "n", frames, NULL);
    case FPI_MEDIA_TIFF:
        return vips_tiffload_source(source, image, READING, "n", frames, NULL);
    case FPI_MEDIA_AVIF:
    case FPI_MEDIA_HEIC:
        return vips_heifload_source(source, image, READING, NULL);
    case FPI_MEDIA_NO_FORMAT:
        break;
    }
    return -1;
}

static fp_status open_format(fpi_media_run *run, fpi_media_format format,
                             const fpi_media_image_options *options, VipsImage **image,
                             fp_error *err)
{
    VipsSource *source;
    int failed;

    vips_error_clear();
    if (lseek(run->input_fd, 0, SEEK_SET) != 0 ||
        !(source = vips_source_new_from_descriptor(run->input_fd)))
        return fp_error_setf(err, FILEPROC_ERR_IO, "can't read the input");
    failed = open_source(format, source, options, image);
    g_object_unref(source);
    return failed ? fpi_media_image_damaged(err) : FILEPROC_OK;
}

fp_status fpi_media_image_open(fpi_media_run *run, const fpi_media_image_options *options,
                               VipsImage **image, fp_error *err)
{
    return open_format(run, run->images->header.format, options, image, err);
}

/* vips_image_get_n_pages() takes large numbers for a mistake and answers 1; a bomb must not get away with that. */
static int count_frames(VipsImage *image)
{
    int frames = 1;

    if (vips_image_get_typeof(image, VIPS_META_N_PAGES) &&
        vips_image_get_int(image, VIPS_META_N_PAGES, &frames) != 0)
        frames = 1;
    return frames > 0 ? frames : 1;
}

static void describe(VipsImage *image, fpi_media_format format, fpi_media_image_header *h)
{
    *h = (fpi_media_image_header){
        .format = format,
        .width = image->Xsize,
        .height = image->Ysize,
        .frames = count_frames(image),
        .orientation = vips_image_get_orientation(image),
        .bands = image->Bands,
        .sample_bytes = (int)vips_format_sizeof(image->BandFmt),
        .space = vips_image_guess_interpretation(image),
        .alpha = vips_image_hasalpha(image),
        .icc = vips_image_get_typeof(image, VIPS_META_ICC_NAME) != 0,
    };
}

static fp_status read_header(fpi_media_run *run, fpi_media_image_header *header, fp_error *err)
{
    static const fpi_media_image_options first = { 1, false };
    FPI_CLEANUP(VipsImage) image = NULL;
    unsigned char head[64];
    fpi_media_format format;
    size_t size;
    fp_status rc;

    rc = fpi_media_input_read(run, 0, head, sizeof(head), &size, err);
    if (rc < 0)
        return rc;
    format = find_format(head, size);
    if (format == FPI_MEDIA_NO_FORMAT)
        return fpi_media_unreadable(run, fpi_media_image_types, err);
    rc = open_format(run, format, &first, &image, err);
    if (rc < 0)
        return rc;
    assert(image);
    describe(image, format, header);
    return FILEPROC_OK;
}

fp_status fpi_media_image_header_of(fpi_media_run *run, const fpi_media_image_header **header,
                                    fp_error *err)
{
    const fp_allocator *a = &run->helper->ctx->a;
    fp_status rc;

    if (!run->images) {
        fpi_media_images *images = fpi_calloc(a, 1, sizeof(*images));

        if (!images)
            return fpi_media_no_memory(err);
        rc = read_header(run, &images->header, err);
        if (rc < 0) {
            fpi_free(a, images);
            return rc;
        }
        run->images = images;
    }
    *header = &run->images->header;
    return FILEPROC_OK;
}

void fpi_media_images_free(fpi_media_images *images)
{
    if (!images)
        return;
    for (size_t i = 0; i < FPI_MEDIA_STEPS_MAX; i++)
        fpi_cleanup_VipsImage(&images->ready[i]);
    fpi_free(&fpi_default_allocator, images);
}

/* Eight bytes for each pixel allowed: RGBA of 16 bits fits, a hundred bands of doubles don't. */
#define BYTES_PER_PIXEL 8u

fp_status fpi_media_image_check_size(const fpi_media_run *run, const fpi_media_image_header *h,
                                     int frames, fp_error *err)
{
    uint64_t pixels = (uint64_t)h->width * (uint64_t)h->height, bytes;
    uint64_t max = run->limits.max_pixels, max_bytes;

    if (__builtin_mul_overflow(pixels, (uint64_t)frames, &pixels) || pixels > max) {
        if (frames > 1)
            return fpi_media_fail(err, FILEPROC_REASON_MEDIA_TOO_LARGE,
                                  "%d frames of %d x %d pixels are more than the %" PRIu64
                                  " pixels allowed",
                                  frames, h->width, h->height, max);
        return fpi_media_fail(err, FILEPROC_REASON_MEDIA_TOO_LARGE,
                              "%d x %d pixels are more than the %" PRIu64 " allowed", h->width,
                              h->height, max);
    }
    if (__builtin_mul_overflow(max, BYTES_PER_PIXEL, &max_bytes))
        max_bytes = UINT64_MAX;
    if (__builtin_mul_overflow(pixels, (uint64_t)h->bands * (uint64_t)h->sample_bytes, &bytes) ||
        bytes > max_bytes)
        return fpi_media_fail(err, FILEPROC_REASON_MEDIA_TOO_LARGE,
                              "%d x %d pixels of %d bands need more memory than allowed", h->width,
                              h->height, h->bands);
    return FILEPROC_OK;
}
