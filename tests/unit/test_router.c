/* Owns: the tests of daemons/common/router.c. */
#include "fake_http.h"
#include "router.h"
#include "runner.h"

static void nothing(fpd_request *rq, void *user_data)
{
    (void)rq;
    (void)user_data;
}

static const fpd_route routes[] = {
    { FPD_METHOD_GET, "/", nothing, 0 },
    { FPD_METHOD_GET, "/v1/files", nothing, 0 },
    { FPD_METHOD_GET, "/v1/files/{id}", nothing, 0 },
    { FPD_METHOD_DELETE, "/v1/files/{id}", nothing, 0 },
    { FPD_METHOD_POST, "/v1/uploads/initiate", nothing, 0 },
    { FPD_METHOD_DELETE, "/v1/uploads/{id}", nothing, 0 },
    { FPD_METHOD_PUT, "/v1/uploads/{id}/chunk", nothing, 0 },
    { FPD_METHOD_GET, "/v1/{a}/x/{b}", nothing, 0 },
    { FPD_METHOD_GET, "/v1/objects/{key...}", nothing, 0 },
    { FPD_METHOD_PUT, "/v1/objects/special/{name}", nothing, 0 },
    { FPD_METHOD_POST, "/v1/own", nothing, 0 },
    { FPD_METHOD_OPTIONS, "/v1/own", nothing, 0 },
};

static int mark;

/* Finds the route of a request and remembers the parameters in f. */
static fpd_router_result find(fake_http *f, const char *method, const char *path, char allow[128])
{
    static fpd_router router;
    void *user_data = NULL;
    fpd_router_result result;

    if (router.count == 0)
        ck_assert(fpd_router_add(&router, routes, sizeof(routes) / sizeof(*routes), &mark));
    fake_init(f, method, path, "");
    result = fpd_router_find(&router, fake_request(f), &user_data, allow, 128);
    if (result == FPD_ROUTER_FOUND)
        ck_assert_ptr_eq(user_data, &mark);
    return result;
}

static void expect_route(const char *method, const char *path, size_t number, const char *parameter)
{
    fake_http f;
    char allow[128];

    ck_assert_msg(find(&f, method, path, allow) == FPD_ROUTER_FOUND, "%s", path);
    ck_assert_ptr_eq(f.rq.route, &routes[number]);
    if (parameter)
        ck_assert_str_eq(f.rq.parameters[0], parameter);
    else
        ck_assert_ptr_null(f.rq.parameters[0]);
    fake_dispose(&f);
}

static void expect_result(const char *method, const char *path, fpd_router_result wanted,
                          const char *methods)
{
    fake_http f;
    char allow[128] = "";

    ck_assert_msg(find(&f, method, path, allow) == wanted, "%s", path);
    if (methods)
        ck_assert_str_eq(allow, methods);
    fake_dispose(&f);
}

START_TEST(paths_find_their_route)
{
    expect_route("GET", "/", 0, NULL);
    expect_route("GET", "/v1/files", 1, NULL);
    expect_route("HEAD", "/v1/files", 1, NULL);
    expect_route("GET", "/v1/files/abc", 2, "abc");
    expect_route("DELETE", "/v1/files/abc", 3, "abc");
    expect_route("PUT", "/v1/uploads/u1/chunk", 6, "u1");
}
END_TEST

START_TEST(parameters_are_decoded_and_slashes_in_them_do_not_separate)
{
    expect_route("GET", "/v1/files/a%2Fb%20c", 2, "a/b c");
    expect_route("GET", "/v1/%66iles/x", 2, "x");
    expect_route("GET", "/v1/files/..", 2, "..");
}
END_TEST

START_TEST(a_literal_wins_over_a_parameter)
{
    expect_route("POST", "/v1/uploads/initiate", 4, NULL);
    expect_result("DELETE", "/v1/uploads/initiate", FPD_ROUTER_NO_METHOD, "POST, OPTIONS");
}
END_TEST

START_TEST(several_parameters_come_in_order)
{
    fake_http f;
    char allow[128];

    ck_assert_int_eq(find(&f, "GET", "/v1/one/x/two", allow), FPD_ROUTER_FOUND);
    ck_assert_str_eq(f.rq.parameters[0], "one");
    ck_assert_str_eq(f.rq.parameters[1], "two");
    fake_dispose(&f);
}
END_TEST

START_TEST(a_last_parameter_can_take_the_rest_with_its_slashes)
{
    expect_route("GET", "/v1/objects/a", 8, "a");
    expect_route("GET", "/v1/objects/a/b/c", 8, "a/b/c");
    expect_route("GET", "/v1/objects/a%2Fb/%63", 8, "a/b/c");
    expect_route("GET", "/v1/objects/1/2/3/4/5/6", 8, "1/2/3/4/5/6");
    expect_route("GET", "/v1/objects/1/2/3/4/5/6/7", 8, "1/2/3/4/5/6/7");
    expect_route("GET", "/v1/objects/%31/2/3/4/5/6/%37/%38%2F9", 8, "1/2/3/4/5/6/7/8/9");
    expect_route("GET", "/v1/objects/a//b/", 8, "a//b/");
    expect_route("GET", "/v1/objects//a", 8, "/a");
    expect_route("PUT", "/v1/objects/special/x", 9, "x");
    expect_result("GET", "/v1/objects/", FPD_ROUTER_NO_PATH, NULL);
    expect_result("GET", "/v1/objects", FPD_ROUTER_NO_PATH, NULL);
    expect_result("GET", "/v1/objects/1/2/3/4/5/6/7/8/%00", FPD_ROUTER_MALFORMED, NULL);
    expect_result("DELETE", "/v1/objects/a/b", FPD_ROUTER_NO_METHOD, "GET, HEAD, OPTIONS");
}
END_TEST

START_TEST(a_route_of_options_is_listed_once)
{
    expect_route("OPTIONS", "/v1/own", 11, NULL);
    expect_result("GET", "/v1/own", FPD_ROUTER_NO_METHOD, "POST, OPTIONS");
}
END_TEST

START_TEST(unknown_paths_are_not_found)
{
    static const char *const paths[] = { "/nothing",
                                         "/v1",
                                         "/v1/files/",
                                         "//",
                                         "/v1//files",
                                         "/v1/files/a/b",
                                         "/V1/files",
                                         "/a/b/c/d/e/f/g/h",
                                         "/a/b/c/d/e/f/g/h/i/j",
                                         "/v1/uploads//chunk" };

    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
        expect_result("GET", paths[i], FPD_ROUTER_NO_PATH, NULL);
}
END_TEST

START_TEST(a_known_path_with_another_method_says_what_it_has)
{
    expect_result("PUT", "/v1/files/abc", FPD_ROUTER_NO_METHOD, "GET, HEAD, DELETE, OPTIONS");
    expect_result("OPTIONS", "/v1/files", FPD_ROUTER_NO_METHOD, "GET, HEAD, OPTIONS");
    expect_result("PROPFIND", "/v1/files", FPD_ROUTER_NO_METHOD, "GET, HEAD, OPTIONS");
}
END_TEST

START_TEST(paths_that_can_not_be_decoded_are_malformed)
{
    expect_result("GET", "/v1/files/%", FPD_ROUTER_MALFORMED, NULL);
    expect_result("GET", "/v1/files/%00", FPD_ROUTER_MALFORMED, NULL);
    expect_result("GET", "/v1/files/%0d%0a", FPD_ROUTER_MALFORMED, NULL);
    expect_result("GET", "*", FPD_ROUTER_MALFORMED, NULL);
}
END_TEST

START_TEST(more_routes_than_fit_are_refused)
{
    static fpd_router router;

    for (size_t i = 0; i < FPD_ROUTES_MAX; i++)
        ck_assert(fpd_router_add(&router, routes, 1, NULL));
    ck_assert(!fpd_router_add(&router, routes, 1, NULL));
    ck_assert_uint_eq(router.count, FPD_ROUTES_MAX);
}
END_TEST

RUN_TESTS("router", paths_find_their_route,
          parameters_are_decoded_and_slashes_in_them_do_not_separate,
          a_literal_wins_over_a_parameter, a_last_parameter_can_take_the_rest_with_its_slashes,
          several_parameters_come_in_order, a_route_of_options_is_listed_once,
          unknown_paths_are_not_found, a_known_path_with_another_method_says_what_it_has,
          paths_that_can_not_be_decoded_are_malformed, more_routes_than_fit_are_refused)
