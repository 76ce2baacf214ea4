/* Owns: the tests of daemons/common/host.c. */
#include "host.h"
#include "runner.h"

START_TEST(loopback_is_always_meant)
{
    static const char *const hosts[] = { "localhost",      "LocalHost:8000", "127.0.0.1",
                                         "127.0.0.1:8000", "127.1.2.3:1",    "[::1]",
                                         "[::1]:8000",     "localhost:" };

    for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++)
        ck_assert_msg(fpd_host_allowed("", hosts[i]), "%s", hosts[i]);
}
END_TEST

START_TEST(no_other_name_is)
{
    static const char *const hosts[] = {
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example:127.0.0.1",
        "localhost@evil.example",
        "localhost:8000.evil.example",
        "128.0.0.1",
        "0.0.0.0",
        "127.1",
        "[::1",
        "[::1]evil.example",
        "[::2]",
        "",
        ":8000",
        "localhost,evil.example",
        "evil.example,localhost",
    };
    char longest[1000];

    for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++)
        ck_assert_msg(!fpd_host_allowed("", hosts[i]), "%s", hosts[i]);
    memset(longest, 'a', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    ck_assert(!fpd_host_allowed("files.example", longest));
}
END_TEST

START_TEST(the_setting_adds_names)
{
    static const char allowed[] = "files.example, other.example:8443";

    ck_assert(fpd_host_allowed(allowed, "files.example"));
    ck_assert(fpd_host_allowed(allowed, "Files.Example:8000"));
    ck_assert(fpd_host_allowed(allowed, "other.example:8443"));
    ck_assert(fpd_host_allowed(allowed, "localhost"));
    ck_assert(!fpd_host_allowed(allowed, "other.example"));
    ck_assert(!fpd_host_allowed(allowed, "other.example:80"));
    ck_assert(!fpd_host_allowed(allowed, "more.files.example"));
    ck_assert(!fpd_host_allowed(allowed, "files.example,other.example:8443"));
    ck_assert(fpd_host_allowed("*", "evil.example"));
    ck_assert(fpd_host_allowed("*", ""));
}
END_TEST

RUN_TESTS("host", loopback_is_always_meant, no_other_name_is, the_setting_adds_names)
