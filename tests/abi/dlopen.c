/* Owns: the check that the library can be loaded, used and unloaded again within a thread that lives on: it leaves no thread, no
 * exit handler and no thread-local destructor behind that would jump into unmapped code.
 * Must not know: the library at link time. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fileproc/config.h>
#include <fileproc/database.h>
#include <fileproc/storage.h>

#define ROUNDS 20

static void fail(const char *what, const char *detail)
{
    fprintf(stderr, "%s: %s\n", what, detail ? detail : "");
    exit(1);
}

static void *symbol(void *library, const char *name)
{
    void *p = dlsym(library, name);

    if (!p)
        fail(name, dlerror());
    return p;
}

/* name##_p is the function; ISO C knows no cast from void * to it, POSIX promises that the bits are right. */
#define GET(name)                                                                                  \
    __typeof__(&name) name##_p;                                                                    \
    memcpy(&name##_p, &(void *){ symbol(library, #name) }, sizeof(void *))
#define CHECK(call)                                                                                \
    do                                                                                             \
        if ((call) != FILEPROC_OK)                                                                 \
            fail(#call, err.message);                                                              \
    while (0)

static void use_storage(void *library, fp_context *ctx)
{
    GET(fp_storage_open);
    GET(fp_storage_put);
    GET(fp_storage_read);
    GET(fp_storage_free);
    fp_storage *st = NULL;
    fp_error err = { 0 };
    char buf[8] = "";
    size_t got = 0;

    CHECK(fp_storage_open_p(ctx, "mem:", NULL, &st, &err));
    CHECK(fp_storage_put_p(st, "a/b", "bytes", 5, 0, &err));
    CHECK(fp_storage_read_p(st, "a/b", 0, buf, sizeof(buf), &got, &err));
    if (got != 5 || memcmp(buf, "bytes", 5) != 0)
        fail("fp_storage_read", "other bytes");
    fp_storage_free_p(st);
}

static void use_database(void *library, fp_context *ctx)
{
    GET(fp_database_open);
    GET(fp_database_migrate);
    GET(fp_database_free);
    fp_database *db = NULL;
    fp_error err = { 0 };

    CHECK(fp_database_open_p(ctx, "sqlite::memory:", NULL, &db, &err));
    CHECK(fp_database_migrate_p(db, &err));
    fp_database_free_p(db);
}

static void use_config(void *library, fp_context *ctx)
{
    GET(fp_config_new);
    GET(fp_config_int);
    GET(fp_config_free);
    fp_config *cfg = NULL;
    fp_error err = { 0 };

    CHECK(fp_config_new_p(ctx, &cfg, &err));
    if (fp_config_int_p(cfg, "CHUNK_SIZE") != 5 * 1024 * 1024)
        fail("fp_config_int", "wrong default");
    fp_config_free_p(cfg);
}

static void *load_use_unload(void *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    fp_context *ctx = NULL;
    fp_error err = { 0 };

    if (!library)
        fail("dlopen", dlerror());
    GET(fp_context_new);
    GET(fp_context_free);
    CHECK(fp_context_new_p(NULL, &ctx, &err));
    use_config(library, ctx);
    use_storage(library, ctx);
    use_database(library, ctx);
    fp_context_free_p(ctx);
    if (dlclose(library) != 0)
        fail("dlclose", dlerror());
    if (dlopen(path, RTLD_NOW | RTLD_NOLOAD))
        fail("dlclose", "the library is still loaded");
    return NULL; /* thread-local destructors run now */
}

int main(int argc, char **argv)
{
    pthread_t thread;

    if (argc != 2)
        fail("usage", "dlopen LIBRARY");
    for (int round = 0; round < ROUNDS; round++) {
        if (pthread_create(&thread, NULL, load_use_unload, argv[1]) != 0)
            fail("pthread_create", NULL);
        pthread_join(thread, NULL);
    }
    printf("loaded and unloaded %d times\n", ROUNDS);
    return 0;
}
