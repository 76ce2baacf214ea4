/* Owns: the peer of the image benchmark: plain libvips calls from C, three sizes of each photo, N threads.
 * Must not know: libfileproc. Prints one JSON line. Usage: bench_images_vips THREADS ROUNDS PHOTO... */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <vips/vips.h>

static char **photos;
static int photo_count, rounds, next_job;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void make(const char *path, int width, const char *suffix)
{
    VipsImage *image = NULL;
    size_t size;
    void *data;

    if (vips_thumbnail(path, &image, width, "height", width, "size", VIPS_SIZE_DOWN, NULL) != 0 ||
        vips_image_write_to_buffer(image, suffix, &data, &size, "Q", 80, NULL) != 0)
        vips_error_exit("%s", path);
    g_free(data);
    g_object_unref(image);
}

static void *work(void *unused)
{
    for (;;) {
        int job;

        pthread_mutex_lock(&lock);
        job = next_job++;
        pthread_mutex_unlock(&lock);
        if (job >= photo_count * rounds)
            break;
        make(photos[job % photo_count], 256, ".jpg");
        make(photos[job % photo_count], 1024, ".webp");
        make(photos[job % photo_count], 1600, ".jpg");
    }
    vips_thread_shutdown();
    return unused;
}

int main(int argc, char **argv)
{
    struct timespec start, end;
    pthread_t threads[64];
    int thread_count;
    double seconds;

    if (argc < 4 || VIPS_INIT(argv[0]) != 0)
        return 2;
    thread_count = (int)strtol(argv[1], NULL, 10);
    rounds = (int)strtol(argv[2], NULL, 10);
    photos = argv + 3;
    photo_count = argc - 3;
    vips_concurrency_set(1);
    vips_cache_set_max(0); /* each job is another photo in real life */
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int i = 0; i < thread_count; i++)
        pthread_create(&threads[i], NULL, work, NULL);
    for (int i = 0; i < thread_count; i++)
        pthread_join(threads[i], NULL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    seconds = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
    printf("{\"seconds\": %.3f, \"jobs_per_s\": %.2f}\n", seconds, photo_count * rounds / seconds);
    return 0;
}
