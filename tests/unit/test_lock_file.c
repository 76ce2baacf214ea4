/* Owns: the tests of daemons/common/lock_file.c. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lock_file.h"
#include "runner.h"

static void make_root(char root[64])
{
    snprintf(root, 64, "/tmp/fpd-lock-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
}

START_TEST(a_folder_is_made_with_its_parents_and_kept_private)
{
    fpd_text absolute = FPD_TEXT_INIT(4096);
    char root[64], path[128];
    struct stat st;
    fp_error err = { 0 };

    make_root(root);
    snprintf(path, sizeof(path), "%s/a/../a/b c", root);
    ck_assert_int_eq(fpd_folder_make(path, &absolute, &err), FILEPROC_OK);
    ck_assert_int_eq(stat(absolute.data, &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0700);
    ck_assert_ptr_null(strstr(absolute.data, ".."));
    ck_assert_int_eq(fpd_folder_make(path, &absolute, &err), FILEPROC_OK);
    ck_assert_int_eq(rmdir(path), 0);
    snprintf(path, sizeof(path), "%s/a", root);
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_eq(rmdir(root), 0);
    fpd_text_dispose(&absolute);
}
END_TEST

START_TEST(what_is_no_folder_is_refused)
{
    fpd_text absolute = FPD_TEXT_INIT(4096);
    fp_error err = { 0 };

    ck_assert_int_lt(fpd_folder_make("", &absolute, &err), 0);
    ck_assert_int_lt(fpd_folder_make("/dev/null", &absolute, &err), 0);
    ck_assert_int_lt(fpd_folder_make("/dev/null/x", &absolute, &err), 0);
    fpd_text_dispose(&absolute);
}
END_TEST

START_TEST(a_second_lock_is_refused_until_the_first_is_gone)
{
    fp_error err = { 0 };
    char root[64], path[128];
    int first = -1, second = -1;

    make_root(root);
    ck_assert_int_eq(fpd_folder_lock(root, &first, &err), FILEPROC_OK);
    ck_assert_int_eq(fpd_folder_lock(root, &second, &err), FILEPROC_ERR_BUSY);
    ck_assert_ptr_nonnull(strstr(err.message, root));
    ck_assert_int_eq(second, -1);
    close(first);
    ck_assert_int_eq(fpd_folder_lock(root, &second, &err), FILEPROC_OK);
    close(second);
    snprintf(path, sizeof(path), "%s/lock", root);
    unlink(path);
    rmdir(root);
}
END_TEST

START_TEST(a_file_has_a_lock_of_its_own_beside_it)
{
    fp_error err = { 0 };
    char root[64], file[128], path[160];
    int first = -1, second = -1, folder = -1;

    make_root(root);
    snprintf(file, sizeof(file), "%s/some.db", root);
    ck_assert_int_eq(fpd_file_lock(file, &first, &err), FILEPROC_OK);
    ck_assert_int_eq(fpd_file_lock(file, &second, &err), FILEPROC_ERR_BUSY);
    ck_assert_ptr_nonnull(strstr(err.message, file));
    ck_assert_int_eq(fpd_folder_lock(root, &folder, &err), FILEPROC_OK);
    close(folder);
    close(first);
    ck_assert_int_eq(fpd_file_lock("/nonexistent/some.db", &second, &err), FILEPROC_ERR_IO);
    snprintf(path, sizeof(path), "%s.lock", file);
    unlink(path);
    snprintf(path, sizeof(path), "%s/lock", root);
    unlink(path);
    rmdir(root);
}
END_TEST

START_TEST(uris_carry_any_path)
{
    fpd_text uri = FPD_TEXT_INIT(4096);

    fpd_folder_uri(&uri, "file", "/srv/a b%\xc3\xb6#?", "objects");
    ck_assert_str_eq(uri.data, "file:///srv/a%20b%25%C3%B6%23%3F/objects");
    fpd_text_dispose(&uri);
}
END_TEST

RUN_TESTS("lock_file", a_folder_is_made_with_its_parents_and_kept_private,
          what_is_no_folder_is_refused, a_second_lock_is_refused_until_the_first_is_gone,
          a_file_has_a_lock_of_its_own_beside_it, uris_carry_any_path)
