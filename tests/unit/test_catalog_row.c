/* Owns: the promises of the catalog's steps inside transactions.
 * Must not know: who takes them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog_world.h"
#include "core/json.h"
#include "fault.h"
#include "runner.h"
#include "scratch.h"
#include "storage_steps.h"

#define ID "0198c000-0000-7000-8000-000000000001"

static const fpi_new_file photo = { .id = ID,
                                    .owner = "alice",
                                    .filename = "a \"b\".png",
                                    .mime_type = "image/png",
                                    .storage_key = "files/1",
                                    .size = 7 };

static fp_file *must_get(catalog_world *w, const char *id)
{
    fp_error err = { 0 };
    fp_file *f = NULL;

    ck_status(fp_catalog_get(w->cat, id, &f, &err), FILEPROC_OK, &err);
    return f;
}

static fp_status read_event(fp_tx *tx, void *user_data, fp_error *err)
{
    json_t *data;
    fp_rows *rows = NULL;
    int32_t more = 0;

    (void)user_data;
    ck_status(fp_tx_query(tx, "SELECT type, subject, data FROM outbox", NULL, 0, &rows, err),
              FILEPROC_OK, err);
    ck_status(fp_rows_next(rows, &more, err), FILEPROC_OK, err);
    ck_assert_str_eq(fp_rows_text(rows, 0), "fileproc.file.created");
    ck_assert_str_eq(fp_rows_text(rows, 1), ID);
    data = json_loads(fp_rows_text(rows, 2), 0, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(data, "id")), ID);
    ck_assert_str_eq(json_string_value(json_object_get(data, "filename")), "a \"b\".png");
    ck_assert_str_eq(json_string_value(json_object_get(data, "owner")), "alice");
    ck_assert_int_eq(json_integer_value(json_object_get(data, "size")), 7);
    json_decref(data);
    fp_rows_free(rows);
    return FILEPROC_OK;
}

START_TEST(upload_is_announced_and_derivative_is_not)
{
    fp_error err = { 0 };
    char child[FPI_UUID_SIZE];
    catalog_world w;

    catalog_world_open(&w, NULL);
    ck_status(catalog_insert(&w, &photo, &err), FILEPROC_OK, &err);
    ck_status(fp_database_transact(w.db, FILEPROC_TX_READONLY, read_event, NULL, &err), FILEPROC_OK,
              &err);
    catalog_add(&w, ID, child);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM outbox"), 1);
    catalog_world_close(&w);
}
END_TEST

START_TEST(insert_refuses_what_would_damage_the_catalog)
{
    fpi_new_file again = photo, thief = photo, orphan = photo, garbled = photo;
    fp_error err = { 0 };
    catalog_world w;

    catalog_world_open(&w, NULL);
    ck_status(catalog_insert(&w, &photo, &err), FILEPROC_OK, &err);
    again.storage_key = "files/2";
    ck_status(catalog_insert(&w, &again, &err), FILEPROC_ERR_EXISTS, &err);
    thief.id =
        "0198c000-0000-7000-8000-000000000002"; /* its deletion would take the other's bytes */
    ck_status(catalog_insert(&w, &thief, &err), FILEPROC_ERR_EXISTS, &err);
    orphan.id = thief.id;
    orphan.storage_key = "files/2";
    orphan.parent_id = "0198c000-0000-7000-8000-00000000000f";
    ck_reason(catalog_insert(&w, &orphan, &err), FILEPROC_ERR_NOTFOUND, "file_not_found", &err);
    garbled.id = thief.id;
    garbled.storage_key = "files/2";
    garbled.filename = "\xff.png";
    ck_status(catalog_insert(&w, &garbled, &err), FILEPROC_ERR_INVALID, &err);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM files"), 1);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM outbox"), 1);
    catalog_world_close(&w);
}
END_TEST

START_TEST(learning_adds_and_keeps_what_was_known)
{
    fp_error err = { 0 };
    catalog_world w;
    fp_file *f;

    catalog_world_open(&w, NULL);
    ck_status(catalog_insert(&w, &photo, &err), FILEPROC_OK, &err);
    ck_status(catalog_learn(&w, ID, "image/jpeg", NULL, NULL, NULL, &err), FILEPROC_OK, &err);
    ck_status(catalog_learn(&w, ID, NULL, "00ff", "image", "{\"width\":3}", &err), FILEPROC_OK,
              &err);
    ck_status(catalog_learn(&w, ID, NULL, NULL, "text", "[1,null]", &err), FILEPROC_OK, &err);
    ck_status(catalog_learn(&w, ID, NULL, NULL, "image", "{\"width\":4}", &err), FILEPROC_OK, &err);
    f = must_get(&w, ID);
    ck_assert_str_eq(f->detected_mime_type, "image/jpeg");
    ck_assert_str_eq(f->sha256, "00ff");
    ck_assert_str_eq(f->info, "{\"image\":{\"width\":4},\"text\":[1,null]}");
    fp_file_free(f);
    catalog_world_close(&w);
}
END_TEST

START_TEST(learning_refuses_what_could_not_be_read_again)
{
    char *big = malloc(1100000), deep[200] = "", *end = deep;
    fp_error err = { 0 };
    catalog_world w;
    fp_file *f;

    ck_assert_ptr_nonnull(big);
    memset(big, 'x', 1100000);
    big[0] = big[1099998] = '"';
    big[1099999] = '\0';
    for (int i = 0; i < 64; i++) /* as deep as parsing allows, so one too deep inside info */
        *end++ = '[';
    for (int i = 0; i < 64; i++)
        *end++ = ']';
    catalog_world_open(&w, NULL);
    ck_status(catalog_insert(&w, &photo, &err), FILEPROC_OK, &err);
    ck_status(catalog_learn(&w, ID, NULL, NULL, "k", "{\"a\":", &err), FILEPROC_ERR_INVALID, &err);
    ck_status(catalog_learn(&w, ID, NULL, NULL, "k", deep, &err), FILEPROC_ERR_INVALID, &err);
    ck_reason(catalog_learn(&w, ID, NULL, NULL, "k", big, &err), FILEPROC_ERR_QUOTA,
              "output_too_large", &err);
    ck_reason(
        catalog_learn(&w, "0198c000-0000-7000-8000-000000000002", "a/b", NULL, NULL, NULL, &err),
        FILEPROC_ERR_NOTFOUND, "file_not_found", &err);
    f = must_get(&w, ID);
    ck_assert_str_eq(f->info, "{}");
    ck_assert_ptr_null(f->detected_mime_type);
    fp_file_free(f);
    catalog_world_close(&w);
    free(big);
}
END_TEST

typedef struct look_call {
    catalog_world *w;
    const char *key;
    int found;
} look_call;

static fp_status look_body(fp_tx *tx, void *user_data, fp_error *err)
{
    look_call *c = user_data;

    return fpi_catalog_has_key(c->w->cat, tx, c->key, &c->found, err);
}

START_TEST(keys_are_found_while_any_row_names_them)
{
    fp_error err = { 0 };
    catalog_world w;
    look_call call = { &w, "files/1", 7 };

    catalog_world_open(&w, NULL);
    ck_status(fp_database_transact(w.db, FILEPROC_TX_READONLY, look_body, &call, &err), FILEPROC_OK,
              &err);
    ck_assert_int_eq(call.found, 0);
    ck_status(catalog_insert(&w, &photo, &err), FILEPROC_OK, &err);
    must_sql(w.db, "UPDATE files SET state = 'deleting'");
    ck_status(fp_database_transact(w.db, FILEPROC_TX_READONLY, look_body, &call, &err), FILEPROC_OK,
              &err);
    ck_assert_int_eq(call.found, 1);
    catalog_world_close(&w);
}
END_TEST

typedef struct each_call {
    fp_catalog *cat;
    const char *const *ids;
    size_t count;
    fp_file **files;
} each_call;

static fp_status each_body(fp_tx *tx, void *user_data, fp_error *err)
{
    each_call *c = user_data;

    return fpi_catalog_read_each(c->cat, tx, c->ids, c->count, c->files, err);
}

static const char other[] = "0198c000-0000-7000-8000-000000000002";

START_TEST(each_of_several_is_read_and_what_is_missing_is_null)
{
    const char *ids[FPI_CATALOG_READ_MAX];
    fp_file *files[FPI_CATALOG_READ_MAX];
    each_call call = { .ids = ids, .files = files };
    fpi_new_file second = photo;
    fp_error err = { 0 };
    catalog_world w;

    catalog_world_open(&w, NULL);
    second.id = other;
    second.storage_key = "files/2";
    ck_status(catalog_insert(&w, &photo, &err), FILEPROC_OK, &err);
    ck_status(catalog_insert(&w, &second, &err), FILEPROC_OK, &err);
    call.cat = w.cat;
    for (call.count = 0; call.count <= FPI_CATALOG_READ_MAX; call.count += 4) {
        char missing[FPI_CATALOG_READ_MAX][FPI_UUID_SIZE];

        for (size_t i = 0; i < call.count; i++) {
            snprintf(missing[i], sizeof(missing[i]), "0198c000-0000-7000-8000-1000000000%02zu", i);
            ids[i] = i % 3 == 0 ? ID : i % 3 == 1 ? other : missing[i];
        }
        ck_status(fp_database_transact(w.db, FILEPROC_TX_READONLY, each_body, &call, &err),
                  FILEPROC_OK, &err);
        for (size_t i = 0; i < call.count; i++) {
            ck_assert_int_eq(files[i] != NULL, i % 3 != 2);
            if (files[i])
                ck_assert_str_eq(files[i]->id, ids[i]);
            fp_file_free(files[i]);
        }
    }
    catalog_world_close(&w);
}
END_TEST

START_TEST(reading_several_survives_every_allocation_failure)
{
    const char *ids[] = { ID, other, ID };
    fault f;

    FAULT_LOOP(&f)
    {
        fp_file *files[3];
        each_call call = { .ids = ids, .count = 3, .files = files };
        fp_error err = { 0 };
        catalog_world w;
        fp_status rc;

        fault_disarm(&f);
        catalog_world_open(&w, &f.allocator);
        ck_status(catalog_insert(&w, &photo, &err), FILEPROC_OK, &err);
        call.cat = w.cat;
        files[0] = files[1] = files[2] = NULL;
        fault_arm(&f);
        rc = fp_database_transact(w.db, FILEPROC_TX_READONLY, each_body, &call, &err);
        fault_judge(&f, rc, &err);
        ck_assert_int_eq(files[0] != NULL, rc == FILEPROC_OK);
        for (int i = 0; i < 3; i++)
            fp_file_free(files[i]);
        catalog_world_close(&w);
    }
}
END_TEST

START_TEST(insert_and_learn_survive_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_error err = { 0 };
        int inserted;
        catalog_world w;
        fp_status rc;

        fault_disarm(&f);
        catalog_world_open(&w, &f.allocator);
        fault_arm(&f);
        rc = catalog_insert(&w, &photo, &err);
        inserted = rc == FILEPROC_OK;
        if (rc == FILEPROC_OK)
            rc = catalog_learn(&w, ID, "image/jpeg", "00", "image", "{\"width\":3}", &err);
        fault_judge(&f, rc, &err);
        ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM files"), inserted);
        ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM outbox"), inserted);
        ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM files WHERE sha256 IS NOT NULL"),
                         rc == FILEPROC_OK);
        catalog_world_close(&w);
    }
}
END_TEST

RUN_TESTS("catalog_row", upload_is_announced_and_derivative_is_not,
          insert_refuses_what_would_damage_the_catalog, learning_adds_and_keeps_what_was_known,
          learning_refuses_what_could_not_be_read_again, keys_are_found_while_any_row_names_them,
          each_of_several_is_read_and_what_is_missing_is_null,
          reading_several_survives_every_allocation_failure,
          insert_and_learn_survive_every_allocation_failure)
