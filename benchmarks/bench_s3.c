/* Owns: the load of the S3 benchmark: parts of an object through the library into an S3 server; and addresses at which somebody
 * else may put the same parts.
 * Must not know: which server it is, what the rates are compared with. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <fileproc/fileproc.h>

static fp_error err;

static void check(fp_status rc)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "%s: %s\n", fp_error_reason(&err), err.message);
    exit(1);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static unsigned char *random_bytes(size_t size)
{
    unsigned char *bytes = malloc(size + 8);
    uint64_t x = 88172645463325252u;

    if (!bytes)
        exit(1);
    for (size_t i = 0; i < size; i += 8) { /* xorshift64 */
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(bytes + i, &x, 8);
    }
    return bytes;
}

static void put_part(fp_assembly *a, uint64_t offset, const unsigned char *bytes, size_t size)
{
    fp_part *part = NULL;

    check(fp_part_begin(a, offset, size, &part, &err));
    for (size_t at = 0; at < size; at += 65536)
        check(fp_part_write(part, bytes + at, size - at < 65536 ? size - at : 65536, &err));
    check(fp_part_commit(part, NULL, 0, &err));
    fp_part_free(part);
}

static void upload(fp_storage *st, const char *key, unsigned count, size_t size)
{
    unsigned char *bytes = random_bytes(size);
    fp_assembly *a = NULL;
    double start = now(), complete;

    check(fp_assembly_open(st, "bench", FILEPROC_ASSEMBLY_CREATE, &a, &err));
    check(fp_assembly_set_target(a, key, (uint64_t)count * size, &err));
    for (unsigned i = 0; i < count; i++)
        put_part(a, (uint64_t)i * size, bytes, size);
    complete = now();
    check(fp_assembly_publish(a, key, (uint64_t)count * size, 0, &err));
    printf("{\"seconds\": %.4f, \"complete_ms\": %.2f}\n", now() - start, (now() - complete) * 1e3);
    fp_assembly_close(a);
    check(fp_storage_discard(st, "bench", &err));
    check(fp_storage_remove(st, key, &err));
    free(bytes);
}

static void print_addresses(fp_storage *st, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        fp_buf url = FILEPROC_BUF_INIT;
        char key[32];

        snprintf(key, sizeof(key), "plain/%u", i);
        check(fp_storage_presign(st, key, FILEPROC_PRESIGN_PUT, 3600, &url, &err));
        puts(url.data);
        fp_buf_dispose(&url);
    }
}

/* What others have uploaded goes, so that every round finds the same server. */
static void clear(fp_storage *st)
{
    fp_storage_list_page *page = NULL;

    check(fp_storage_list(st, NULL, NULL, 1000, &page, &err));
    for (size_t i = 0; i < page->count; i++)
        check(fp_storage_remove(st, page->names[i], &err));
    fp_storage_list_free(page);
}

int main(int argc, char **argv)
{
    fp_storage_options o = FILEPROC_STORAGE_OPTIONS_INIT;
    fp_context *ctx = NULL;
    fp_storage *st = NULL;
    unsigned count;

    if (argc != 7) {
        fprintf(stderr, "usage: bench_s3 upload|urls|clear URI ACCESS-KEY SECRET-KEY COUNT SIZE\n");
        return 2;
    }
    o.access_key = argv[3];
    o.secret_key = argv[4];
    count = (unsigned)strtoul(argv[5], NULL, 10);
    check(fp_context_new(NULL, &ctx, &err));
    check(fp_storage_open(ctx, argv[2], &o, &st, &err));
    if (strcmp(argv[1], "urls") == 0)
        print_addresses(st, count);
    else if (strcmp(argv[1], "clear") == 0)
        clear(st);
    else
        upload(st, "bench/object", count, strtoul(argv[6], NULL, 10));
    fp_storage_free(st);
    fp_context_free(ctx);
    return 0;
}
