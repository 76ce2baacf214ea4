/* Owns: the main() of a unit test program.
 * Must not know: any test. Use as: RUN_TESTS("storage", test_one, test_two) after the START_TEST blocks. */
#ifndef TESTS_RUNNER_H
#define TESTS_RUNNER_H

#include <stdio.h>
#include <stdlib.h>

#include <check.h>

/* Says that no test could run here. */
static inline int skip_suite(const char *why)
{
    printf("1..0 # SKIP %s\n", why);
    return EXIT_SUCCESS;
}

static inline int run_suite(Suite *suite)
{
    const char *server = getenv("FILEPROC_TEST_POSTGRESQL_URI");
    SRunner *runner;
    int failed;

    if (getenv("FILEPROC_TEST_DATABASE") && (!server || !*server))
        return skip_suite("no PostgreSQL: FILEPROC_TEST_POSTGRESQL_URI is not set");
    runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static inline Suite *suite_of(const char *name, const TTest *const *tests, size_t count)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);

    tcase_set_timeout(tcase, 100);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    return suite;
}

#define RUN_TESTS(name, ...)                                                                       \
    int main(void)                                                                                 \
    {                                                                                              \
        const TTest *const tests[] = { __VA_ARGS__ };                                              \
        return run_suite(suite_of(name, tests, sizeof(tests) / sizeof(*tests)));                   \
    }

#endif
