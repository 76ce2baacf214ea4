/* Owns: the promise that bytes written past the page cache are the same bytes, whoever takes over, and however few there are.
 * Must not know: the rest of the file driver; test_storage.c has it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"
#include "runner.h"
#include "storage/storage_file_private.h"
#include "storage_steps.h"

#define MIB ((size_t)1 << 20)

static char folder[64];
static int folder_fd, fd;
static fpi_direct_pool pool;

static void begin(const fp_allocator *a)
{
    scratch_make(folder);
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY);
    fd = openat(folder_fd, "f", O_RDWR | O_CREAT, 0600);
    ck_assert_int_ge(fd, 0);
    fpi_direct_pool_init(&pool, a);
}

static void end(void)
{
    fpi_direct_pool_dispose(&pool);
    close(fd);
    close(folder_fd);
    scratch_remove(folder);
}

static fpi_direct *begin_at(uint64_t offset, uint64_t length)
{
    return fpi_direct_begin(&pool, fd, offset, length);
}

/* Bytes of content(seed), in pieces of this size. */
static int write_pieces(fpi_direct *d, unsigned seed, uint64_t offset, size_t size, size_t piece)
{
    unsigned char *bytes = malloc(piece);
    int error = 0;

    for (size_t done = 0; !error && done < size; done += piece) {
        size_t n = size - done < piece ? size - done : piece;

        content_fill(seed, offset + done, bytes, n);
        error = fpi_direct_write(d, bytes, n);
    }
    free(bytes);
    return error;
}

static void must_hold(unsigned seed, uint64_t offset, size_t size)
{
    unsigned char *found = malloc(size), *wanted = malloc(size);

    content_fill(seed, offset, wanted, size);
    ck_assert_int_eq(pread(fd, found, size, (off_t)offset), (ssize_t)size);
    ck_assert_int_eq(memcmp(found, wanted, size), 0);
    free(found);
    free(wanted);
}

START_TEST(bytes_arrive_whatever_the_pieces)
{
    static const struct {
        uint64_t offset;
        size_t size, piece;
    } cases[] = {
        { 0, MIB, MIB },           { 4096, MIB + 1, 4095 },      { 5 * MIB, 5 * MIB, 128 << 10 },
        { MIB, 3 * MIB - 1, 777 }, { 0, 2 * MIB + 4097, 65536 },
    };

    begin(&fpi_default_allocator);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        fpi_direct *d = begin_at(cases[i].offset, cases[i].size);

        ck_assert_ptr_nonnull(d);
        ck_assert_int_eq(write_pieces(d, i, cases[i].offset, cases[i].size, cases[i].piece), 0);
        ck_assert_int_eq(fpi_direct_flush(d), 0);
        must_hold(i, cases[i].offset, cases[i].size);
        fpi_direct_end(&pool, d);
    }
    ck_assert_uint_eq(pool.count, 1);
    end();
}
END_TEST

START_TEST(fewer_bytes_than_announced_are_fine)
{
    begin(&fpi_default_allocator);
    for (size_t size = 0; size < 9000; size += 4095) {
        fpi_direct *d = begin_at(MIB, 2 * MIB);

        ck_assert_int_eq(write_pieces(d, 7, MIB, size, 1000), 0);
        ck_assert_int_eq(fpi_direct_flush(d), 0);
        must_hold(7, MIB, size);
        fpi_direct_end(&pool, d);
    }
    end();
}
END_TEST

START_TEST(what_does_not_fit_goes_the_usual_way)
{
    fpi_direct *many[32];
    unsigned count = 0;

    begin(&fpi_default_allocator);
    ck_assert_ptr_null(begin_at(0, MIB - 1));
    ck_assert_ptr_null(begin_at(100, MIB));
    while (count < 32 && (many[count] = begin_at(count * MIB, MIB)))
        count++;
    ck_assert_uint_eq(count, 16);
    fpi_direct_end(&pool, many[--count]);
    many[count] = begin_at(0, MIB);
    ck_assert_ptr_nonnull(many[count++]);
    while (count)
        fpi_direct_end(&pool, many[--count]);
    pool.off = true;
    ck_assert_ptr_null(begin_at(0, MIB));
    end();
}
END_TEST

/* What was on its way for the old writer must not come after the newcomer's bytes. */
START_TEST(newcomer_of_a_large_part_has_the_last_word)
{
    const size_t size = 3 * MIB;
    char uri[128];
    fp_error err = { 0 };
    fp_context *ctx;
    fp_storage *st;
    unsigned char *bytes = malloc(size);

    scratch_make(folder);
    snprintf(uri, sizeof(uri), "file://%s/store", folder);
    ck_status(fp_context_new(NULL, &ctx, &err), FILEPROC_OK, &err);
    ck_status(fp_storage_open(ctx, uri, NULL, &st, &err), FILEPROC_OK, &err);
    for (unsigned i = 0; i < 10; i++) {
        fp_assembly *a = must_open(st, "u", FILEPROC_ASSEMBLY_CREATE);
        fp_part *old = NULL, *beyond = NULL;

        ck_status(fp_part_begin(a, 0, size, &old, &err), FILEPROC_OK, &err);
        ck_status(fp_part_begin(a, size, size, &beyond, &err), FILEPROC_OK, &err);
        content_fill(99, 0, bytes, size);
        ck_status(fp_part_write(old, bytes, size, &err), FILEPROC_OK, &err);
        must_part(a, i, 0, size);
        ck_reason(fp_part_write(old, bytes, 1, &err), FILEPROC_ERR_CONFLICT, "chunk_superseded",
                  &err);
        ck_status(fp_part_write(beyond, bytes, size, &err), FILEPROC_OK, &err);
        ck_status(fp_assembly_publish(a, "k", size, 0, &err), FILEPROC_OK, &err);
        ck_assert(object_is(st, "k", i, size)); /* and nothing behind it */
        fp_part_free(old);
        fp_part_free(beyond);
        ck_assert(object_is(st, "k", i, size));
        fp_assembly_close(a);
        ck_status(fp_storage_discard(st, "u", &err), FILEPROC_OK, &err);
    }
    free(bytes);
    fp_storage_free(st);
    fp_context_free(ctx);
    scratch_remove(folder);
}
END_TEST

START_TEST(no_memory_means_the_usual_way)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fpi_direct *d;

        begin(&f.allocator);
        fault_arm(&f);
        d = begin_at(0, MIB);
        fault_disarm(&f);
        ck_assert(d || f.injected);
        fpi_direct_end(&pool, d);
        ck_assert_uint_eq(pool.count, d ? 1 : 0);
        end();
        ck_assert_int_eq(f.live, 0);
    }
}
END_TEST

RUN_TESTS("storage_file_direct", bytes_arrive_whatever_the_pieces,
          fewer_bytes_than_announced_are_fine, what_does_not_fit_goes_the_usual_way,
          newcomer_of_a_large_part_has_the_last_word, no_memory_means_the_usual_way)
