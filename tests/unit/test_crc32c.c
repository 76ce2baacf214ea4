/* Owns: the tests of core/crc32c.c. */
#include <stdlib.h>
#include <string.h>

#include "core/digest.h"
#include "runner.h"

START_TEST(vectors_of_rfc_3720_come_out)
{
    static const unsigned char read_pdu[48] = {
        /* B.4: an iSCSI SCSI Read (10) command PDU */
        0x01, 0xc0, 0, 0,    0, 0, 0, 0,    0,    0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 0x04, 0,
        0,    0,    0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0,    0
    };
    unsigned char block[32];

    memset(block, 0, sizeof(block));
    ck_assert_uint_eq(fpi_crc32c(0, block, 32), 0x8A9136AA);
    memset(block, 0xFF, sizeof(block));
    ck_assert_uint_eq(fpi_crc32c(0, block, 32), 0x62A8AB43);
    for (size_t i = 0; i < 32; i++)
        block[i] = (unsigned char)i;
    ck_assert_uint_eq(fpi_crc32c(0, block, 32), 0x46DD794E);
    for (size_t i = 0; i < 32; i++)
        block[i] = (unsigned char)(31 - i);
    ck_assert_uint_eq(fpi_crc32c(0, block, 32), 0x113FDB5C);
    ck_assert_uint_eq(fpi_crc32c(0, read_pdu, sizeof(read_pdu)), 0xD9963A56);
    ck_assert_uint_eq(fpi_crc32c(0, "123456789", 9), 0xE3069283);
    ck_assert_uint_eq(fpi_crc32c(0, NULL, 0), 0);
}
END_TEST

START_TEST(pieces_add_up_to_the_whole)
{
    unsigned char data[100];

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 31);
    for (size_t split = 0; split <= sizeof(data); split++)
        ck_assert_uint_eq(
            fpi_crc32c(fpi_crc32c(0, data, split), data + split, sizeof(data) - split),
            fpi_crc32c(0, data, sizeof(data)));
}
END_TEST

/* Bit by bit. */
static uint32_t by_definition(const unsigned char *data, size_t size)
{
    uint32_t crc = ~0u;

    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0);
    }
    return ~crc;
}

START_TEST(every_length_and_alignment_is_right)
{
    unsigned char *data = malloc(5000);
    unsigned state = 1;

    for (size_t i = 0; i < 5000; i++) {
        state = state * 1103515245u + 12345u;
        data[i] = (unsigned char)(state >> 16);
    }
    for (size_t size = 0; size < 4900; size += size < 300 ? 1 : 97)
        for (size_t at = 0; at < 17; at++)
            ck_assert_uint_eq(fpi_crc32c(0, data + at, size), by_definition(data + at, size));
    free(data);
}
END_TEST

START_TEST(two_known_crcs_make_the_third)
{
    unsigned char *data = calloc(1, 70000);

    for (size_t i = 0; i < 70000; i++)
        data[i] = (unsigned char)(i * i * 31 >> 3);
    for (size_t split = 0; split <= 70000; split += split < 300 ? 1 : 4999) {
        uint32_t first = fpi_crc32c(0, data, split);
        uint32_t second = fpi_crc32c(0, data + split, 70000 - split);

        ck_assert_uint_eq(fpi_crc32c_join(first, second, 70000 - split),
                          fpi_crc32c(0, data, 70000));
    }
    free(data);
}
END_TEST

RUN_TESTS("crc32c", vectors_of_rfc_3720_come_out, pieces_add_up_to_the_whole,
          every_length_and_alignment_is_right, two_known_crcs_make_the_third)
