/* Owns: the tests of daemons/common/writers.c. */
#include <sys/socket.h>
#include <unistd.h>

#include "writers.h"
#include "runner.h"

static int descriptor(void *self)
{
    return *(const int *)self;
}

/* Both ends of a connection; the first is the server's. */
static fpd_wire open_wire(int ends[2])
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    return (fpd_wire){ .self = ends, .descriptor = descriptor };
}

static void close_wire(const int ends[2])
{
    close(ends[0]);
    close(ends[1]);
}

static bool is_at_its_end(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

START_TEST(newer_request_ends_the_older_one_which_can_still_answer)
{
    fpd_writers *all = fpd_writers_new();
    int one[2], two[2];
    fpd_wire wire_one = open_wire(one), wire_two = open_wire(two);
    fpd_writer old, young;
    char byte;

    fpd_writer_enter(all, &old, "a", FPD_WRITER_APPEND, &wire_one);
    ck_assert(!is_at_its_end(one[0]));
    fpd_writer_enter(all, &young, "a", FPD_WRITER_APPEND, &wire_two);
    ck_assert(is_at_its_end(one[0]));
    ck_assert(!is_at_its_end(two[0]));
    ck_assert_int_eq(write(one[0], "x", 1), 1);
    ck_assert_int_eq(read(one[1], &byte, 1), 1);
    ck_assert(fpd_writer_leave(&old));
    ck_assert(!fpd_writer_leave(&old)); /* it has left */
    ck_assert(!fpd_writer_leave(&young));
    close_wire(one);
    close_wire(two);
    fpd_writers_free(all);
}
END_TEST

START_TEST(others_are_let_be)
{
    fpd_writers *all = fpd_writers_new();
    int ends[4][2];
    fpd_wire wires[4];
    fpd_writer in[4];

    for (int i = 0; i < 4; i++)
        wires[i] = open_wire(ends[i]);
    fpd_writer_enter(all, &in[0], "a", 0, &wires[0]);
    fpd_writer_enter(all, &in[1], "a", 1, &wires[1]);
    fpd_writer_enter(all, &in[2], "b", 0, &wires[2]);
    fpd_writer_enter(all, &in[3], "a", FPD_WRITER_APPEND, &wires[3]);
    for (int i = 0; i < 4; i++)
        ck_assert(!is_at_its_end(ends[i][0]));
    for (int i = 0; i < 4; i++)
        ck_assert(!fpd_writer_leave(&in[(i + 2) % 4])); /* in any order */
    for (int i = 0; i < 4; i++)
        close_wire(ends[i]);
    fpd_writers_free(all);
}
END_TEST

START_TEST(all_of_an_upload_can_be_ended)
{
    fpd_writers *all = fpd_writers_new();
    int ends[3][2];
    fpd_wire wires[3];
    fpd_writer in[3];

    for (int i = 0; i < 3; i++)
        wires[i] = open_wire(ends[i]);
    fpd_writer_enter(all, &in[0], "a", 0, &wires[0]);
    fpd_writer_enter(all, &in[1], "a", FPD_WRITER_APPEND, &wires[1]);
    fpd_writer_enter(all, &in[2], "b", 0, &wires[2]);
    fpd_writers_end(all, "a");
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(is_at_its_end(ends[i][0]), i < 2);
        ck_assert_int_eq(fpd_writer_leave(&in[i]), i < 2);
        close_wire(ends[i]);
    }
    fpd_writers_free(all);
}
END_TEST

START_TEST(appends_can_be_ended_without_chunks)
{
    fpd_writers *all = fpd_writers_new();
    int ends[3][2];
    fpd_wire wires[3];
    fpd_writer in[3];

    for (int i = 0; i < 3; i++)
        wires[i] = open_wire(ends[i]);
    fpd_writer_enter(all, &in[0], "a", FPD_WRITER_APPEND, &wires[0]);
    fpd_writer_enter(all, &in[1], "a", 0, &wires[1]);
    fpd_writer_enter(all, &in[2], "b", FPD_WRITER_APPEND, &wires[2]);
    fpd_writers_end_appends(all, "a");
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(is_at_its_end(ends[i][0]), i == 0);
        ck_assert_int_eq(fpd_writer_leave(&in[i]), i == 0);
        close_wire(ends[i]);
    }
    fpd_writers_free(all);
}
END_TEST

START_TEST(one_that_has_left_is_not_touched)
{
    fpd_writers *all = fpd_writers_new();
    int ends[2];
    fpd_wire wire = open_wire(ends), none = { 0 };
    fpd_writer one, two, never = { 0 };

    fpd_writer_enter(all, &one, "a", 0, &wire);
    ck_assert(!fpd_writer_leave(&one));
    fpd_writer_enter(all, &two, "a", 0, &none); /* whose socket is not known */
    ck_assert(!is_at_its_end(ends[0]));
    fpd_writer_enter(all, &one, "a", 0, &wire);
    ck_assert(fpd_writer_leave(&two));
    ck_assert(!fpd_writer_leave(&one));
    ck_assert(!fpd_writer_leave(&never));
    close_wire(ends);
    fpd_writers_free(all);
}
END_TEST

RUN_TESTS("writers", newer_request_ends_the_older_one_which_can_still_answer, others_are_let_be,
          all_of_an_upload_can_be_ended, appends_can_be_ended_without_chunks,
          one_that_has_left_is_not_touched)
