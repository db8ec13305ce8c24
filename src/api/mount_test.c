/* SPDX-License-Identifier: Apache-2.0 */
#include "api/mount.h"

#include "api/api_test.h"
#include "api/native/native.h"

static struct buf space;

/* `want` is the row's path; `behind` what came before it. */
static void leads(const struct dialect *mount, const char *path, const char *want,
                  const char *behind, const struct dialect *words)
{
    struct mount_target t;
    assert_int_equal(mount_resolve(mount, path, &space, &t), 0);
    assert_string_equal(t.path, want);
    assert_string_equal(t.behind, behind);
    assert_ptr_equal(t.words, words);
}

static void test_without_a_mount_paths_are_their_own(void **state)
{
    leads(NULL, "/test/list", "/test/list", "", &test_dialect);
    leads(NULL, "/v1/vms", "/v1/vms", "", &native_dialect);
    leads(NULL, "/list", "/list", "", route_at(0)->dialect);
    leads(NULL, "", "", "", route_at(0)->dialect);
}

static void test_an_alias(void **state)
{
    struct mount_target t;
    for (int i = 0; i < 2; i++) {
        const struct dialect *mount = i ? &test_dialect : NULL;
        leads(mount, "/native/v1/vms", "/v1/vms", "/native", &native_dialect);
        leads(mount, "/native/nothing", "/nothing", "/native", &native_dialect);
        const struct dialect *words = mount ? mount : route_at(0)->dialect;
        leads(mount, "/nativ/v1/vms", "/nativ/v1/vms", "", words);
        leads(mount, "/native", "/native", "", words);
        leads(mount, "/natives/v1", "/natives/v1", "", words);
    }
    assert_int_equal(mount_resolve(NULL, "/native/health", &space, &t), 0);
    assert_ptr_equal(t.only, &native_dialect);
}

static void test_a_mount_takes_what_begins_as_its_rows_do(void **state)
{
    leads(&test_dialect, "/list", "/test/list", "", &test_dialect);
    leads(&test_dialect, "/nested/1", "/test/nested/1", "", &test_dialect);
    leads(&test_dialect, "/nested/1/2", "/test/nested/1/2", "", &test_dialect);
    leads(&test_dialect, "/lists", "/lists", "", &test_dialect);
    leads(&test_dialect, "/lis", "/lis", "", &test_dialect);
    leads(&test_dialect, "/api/v1/none", "/api/v1/none", "", route_at(0)->dialect);
    leads(&test_dialect, "/test/list", "/test/list", "", &test_dialect);
    /* It has a row below /test/v1/, so nothing of another dialect is found below /v1/. */
    leads(&test_dialect, "/v1/vms", "/test/v1/vms", "", &test_dialect);
    leads(&test_dialect, "/", "/", "", &test_dialect);
    leads(&test_dialect, "//list", "//list", "", &test_dialect);
}

static const struct route *row_of(const char *path)
{
    const struct route *r;
    for (size_t i = 0; (r = route_at(i)); i++) {
        if (strcmp(r->path, path) == 0)
            return r;
    }
    fail_msg("no row %s", path);
    return NULL;
}

static void path_is(const struct dialect *mount, const char *row, const char *want)
{
    char path[MOUNT_PATH_SIZE];
    mount_path(mount, row_of(row), path);
    assert_string_equal(path, want);
}

static void test_paths_as_clients_see_them(void **state)
{
    path_is(NULL, "/test/list", "/test/list");
    path_is(NULL, "/v1/vms", "/v1/vms");
    path_is(&test_dialect, "/test/list", "/list");
    path_is(&test_dialect, "/test/v1/signed", "/v1/signed");
    path_is(&test_dialect, "/v1/vms", "/native/v1/vms");
    path_is(&test_dialect, "/healthz", "/healthz");
    path_is(&test_dialect, "/api/v1/execute", "/api/v1/execute");
}

/* What mount_path says leads back to the row, for each row and listener. */
static void test_there_and_back(void **state)
{
    const struct dialect *const mounts[] = {NULL, &test_dialect};
    for (size_t m = 0; m < ARRAY_SIZE(mounts); m++) {
        const struct route *r;
        for (size_t i = 0; (r = route_at(i)); i++) {
            char path[MOUNT_PATH_SIZE];
            struct mount_target t;
            mount_path(mounts[m], r, path);
            assert_int_equal(mount_resolve(mounts[m], path, &space, &t), 0);
            assert_string_equal(t.path, r->path);
        }
    }
}

int main(void)
{
    route_add_rows(test_rows);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_mount_paths_are_their_own),
        cmocka_unit_test(test_an_alias),
        cmocka_unit_test(test_a_mount_takes_what_begins_as_its_rows_do),
        cmocka_unit_test(test_paths_as_clients_see_them),
        cmocka_unit_test(test_there_and_back),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_done(&space);
    return failed;
}
