/* Owns: the operation pdf.render: pages as pictures.
 * Must not know: text extraction, encoding. */
#include <cairo.h>
#include <poppler.h>

#include "media/media_error.h"
#include "media/media_image.h"
#include "media/media_operation.h"
#include "media/media_param.h"
#include "media/media_pdf.h"

#define POINTS_PER_INCH 72.0
#define MAX_SIDE 16384
#define MAX_DPI 1200

static const char *const format_names[] = { "webp", "png", "jpeg", NULL };
static const fpi_media_format format_values[] = { FPI_MEDIA_WEBP, FPI_MEDIA_PNG, FPI_MEDIA_JPEG };

typedef struct rendering {
    fpi_media_box box; /* both sides 0: dpi counts */
    int dpi;
    fpi_media_save_options save;
} rendering;

/* A page in pixels; dpi is what came out of it. */
typedef struct page_size {
    int width, height;
    double scale; /* pixels per point */
} page_size;

static fp_status read_params(const json_t *params, rendering *r, fp_error *err)
{
    int format = 0;
    fp_status rc;

    *r = (rendering){ .dpi = 150, .save = { .quality = 80 } };
    rc = fpi_media_param_integer(params, "dpi", 1, MAX_DPI, &r->dpi, err);
    if (rc == FILEPROC_OK)
        rc = fpi_media_param_integer(params, "width", 1, MAX_SIDE, &r->box.width, err);
    if (rc == FILEPROC_OK)
        rc = fpi_media_param_integer(params, "height", 1, MAX_SIDE, &r->box.height, err);
    if (rc == FILEPROC_OK)
        rc = fpi_media_param_choice(params, "format", format_names, &format, err);
    if (rc == FILEPROC_OK)
        rc = fpi_media_param_integer(params, "quality", 1, 100, &r->save.quality, err);
    r->save.format = format_values[format];
    return rc;
}

/* Pages can be 200 inches wide, or more by a user unit: resolution gives way until the picture is within the limits. */
static fp_status work_out_size(const rendering *r, double width, double height, uint64_t max_pixels,
                               page_size *size, fp_error *err)
{
    double scale = r->dpi / POINTS_PER_INCH, least = (double)max_pixels;

    if (!(width > 0 && height > 0 && width < 1e7 && height < 1e7))
        return fpi_media_fail(err, FILEPROC_REASON_MEDIA_DAMAGED, "a page of the PDF has no size");
    if (r->box.width || r->box.height)
        scale = fmin(r->box.width ? r->box.width / width : INFINITY,
                     r->box.height ? r->box.height / height : INFINITY);
    scale = fmin(scale, 16383 / fmax(width, height));
    /* Sides are rounded up, by less than a pixel each. */
    if ((width * scale + 1) * (height * scale + 1) > least)
        scale = fmin(scale, fmax(sqrt(least) - 1, 1) / sqrt(width * height));
    size->scale = scale;
    size->width = (int)fmax(1, round(width * scale));
    size->height = (int)fmax(1, round(height * scale));
    return FILEPROC_OK;
}

static cairo_surface_t *draw(PopplerPage *page, const page_size *size)
{
    cairo_surface_t *surface =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, size->width, size->height);
    cairo_t *cairo = cairo_create(surface);

    cairo_set_source_rgb(cairo, 1, 1, 1);
    cairo_paint(cairo);
    cairo_scale(cairo, size->scale, size->scale);
    poppler_page_render(page, cairo);
    cairo_destroy(cairo);
    cairo_surface_flush(surface);
    return surface;
}

/* Cairo keeps 32 bits a pixel in the machine's byte order; encoders want three bytes. */
static VipsImage *to_image(cairo_surface_t *surface, const page_size *size)
{
    VipsImage *image = vips_image_new_memory();
    const unsigned char *data = cairo_image_surface_get_data(surface);
    int stride = cairo_image_surface_get_stride(surface);
    double per_mm = size->scale * POINTS_PER_INCH / 25.4;
    uint8_t *to;

    vips_image_init_fields(image, size->width, size->height, 3, VIPS_FORMAT_UCHAR, VIPS_CODING_NONE,
                           VIPS_INTERPRETATION_sRGB, per_mm, per_mm);
    if (!data || vips_image_write_prepare(image) != 0) {
        g_object_unref(image);
        return NULL;
    }
    to = fpi_media_pixel(image, 0, 0);
    for (int y = 0; y < size->height; y++) {
        const uint32_t *from = (const uint32_t *)(const void *)(data + (size_t)y * (size_t)stride);

        for (int x = 0; x < size->width; x++, to += 3) {
            to[0] = (uint8_t)(from[x] >> 16);
            to[1] = (uint8_t)(from[x] >> 8);
            to[2] = (uint8_t)from[x];
        }
    }
    return image;
}

static fp_status render_page(fpi_media_run *run, const rendering *r, PopplerPage *page,
                             page_size *size, VipsImage **image, fp_error *err)
{
    cairo_surface_t *surface;
    double width = 0, height = 0;
    fp_status rc;

    poppler_page_get_size(page, &width, &height);
    rc = work_out_size(r, width, height, run->limits.max_pixels, size, err);
    if (rc < 0)
        return rc;
    surface = draw(page, size);
    *image = cairo_surface_status(surface) == CAIRO_STATUS_SUCCESS ? to_image(surface, size) : NULL;
    cairo_surface_destroy(surface);
    vips_error_clear();
    return *image ? FILEPROC_OK : fpi_media_no_memory(err);
}

static fp_status save_page(fpi_media_run *run, const rendering *r, int number,
                           const page_size *size, VipsImage *image, fp_error *err)
{
    FPI_DISPOSE(fpi_media_output) out = FPI_MEDIA_OUTPUT_INIT;
    fp_status rc = fpi_media_output_open(&out, run, err);

    if (rc == FILEPROC_OK)
        rc = fpi_media_image_save(image, &r->save, &out, err);
    if (rc == FILEPROC_OK)
        rc = fpi_media_output_done(
            &out, fpi_media_format_type(r->save.format), fpi_media_format_extension(r->save.format),
            json_pack("{s:i,s:i,s:i,s:f}", "page", number, "width", size->width, "height",
                      size->height, "dpi", VIPS_RINT(size->scale * POINTS_PER_INCH * 100) / 100),
            err);
    return rc;
}

/* One page at a time is in memory. */
static fp_status do_page(fpi_media_run *run, const rendering *r, int number, fp_error *err)
{
    PopplerPage *page = poppler_document_get_page(run->pdf->document, number - 1);
    FPI_CLEANUP(VipsImage) image = NULL;
    page_size size = { 0 };
    fp_status rc;

    if (!page)
        return fpi_media_fail(err, FILEPROC_REASON_MEDIA_DAMAGED, "page %d of the PDF is damaged",
                              number);
    rc = render_page(run, r, page, &size, &image, err);
    g_object_unref(page);
    return rc < 0 ? rc : save_page(run, r, number, &size, image, err);
}

fp_status fpi_media_pdf_render(fpi_media_run *run, const fpi_media_step *step, json_t **result,
                               fp_error *err)
{
    const fpi_media_pdf *pdf;
    fpi_media_pages pages;
    rendering r;
    bool truncated = false;
    size_t total = 0;
    fp_status rc;

    rc = read_params(step->params, &r, err);
    if (rc == FILEPROC_OK)
        rc = fpi_media_pdf_of(run, &pdf, err);
    if (rc == FILEPROC_OK)
        rc = fpi_media_pdf_pages(run, step, "1", &pages, &total, &truncated, err);
    for (size_t i = 0; rc == FILEPROC_OK && i < total; i++)
        rc = do_page(run, &r, fpi_media_pages_at(&pages, i), err);
    if (rc < 0)
        return rc;
    *result = json_pack("{s:I,s:b}", "pages", (json_int_t)total, "truncated", (int)truncated);
    return *result ? FILEPROC_OK : fpi_media_no_memory(err);
}
