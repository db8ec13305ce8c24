/* SPDX-License-Identifier: Apache-2.0 */

/* holm image: lists, uploads, what is left when one is refused. */

#include "cli/test_cmd.h"

#define IMAGE_A "/v1/images/" ID_A
#define IMAGE_B "/v1/images/" ID_B
#define OWN_IMAGE(id, name, state, more)                                                       \
    "{\"id\":\"" id "\",\"name\":\"" name "\",\"description\":\"for work\",\"state\":\"" state \
    "\",\"detail\":\"\",\"builtin\":false,\"isDefault\":false,\"hasKernel\":true,"             \
    "\"hasRootfs\":true,\"diskGiB\":0.5,\"kernelBytes\":8388608,"                              \
    "\"createdAt\":\"2020-01-01T00:00:00Z\"" more "}"
#define BUILT                                                                          \
    "{\"id\":\"" ID_B "\",\"name\":\"bash\",\"description\":\"\",\"state\":\"ready\"," \
    "\"detail\":\"\",\"builtin\":true,\"isDefault\":true,\"hasKernel\":true,"          \
    "\"hasRootfs\":true,\"diskGiB\":2,\"allocatedBytes\":104857600,"                   \
    "\"languages\":[\"bash\",\"sh\"],\"createdAt\":\"2020-01-01T00:00:00Z\"}"
#define LIST OK("/v1/images", "[" BUILT "," OWN_IMAGE(ID_A, "mine", "ready", "") "]")

static void write_files(const char *dir, char kernel[PATH_MAX], char rootfs[PATH_MAX])
{
    snprintf(kernel, PATH_MAX, "%s/bzImage", dir);
    snprintf(rootfs, PATH_MAX, "%s/root.ext4", dir);
    assert_int_equal(file_write_atomic(kernel, "kernel", 6, 0600), 0);
    assert_int_equal(file_write_atomic(rootfs, "files", 5, 0600), 0);
}

static void test_list_and_show(void **state)
{
    auto_test_server struct test_server *s =
        test_server_new(REPLIES(LIST, OK(IMAGE_A, OWN_IMAGE(ID_A, "mine", "failed", ""))));
    auto_test_ran struct test_ran list;
    test_holm(s, &(struct test_run){.argv = ARGV("image", "list")}, &list);
    assert_int_equal(list.code, 0);
    test_has(&list.out, "bash  " ID_B "  ready  2.0 GiB  100 MiB");
    test_has(&list.out, "default  bash, sh\n");
    test_has(&list.out, "mine  " ID_A "  ready  512 MiB");
    test_has(&list.out, "for work\n");
    auto_test_ran struct test_ran show;
    test_holm(s, &(struct test_run){.argv = ARGV("image", "show", "mine")}, &show);
    test_has(&show.out, "failed\n");
    test_has(&show.out, "8.0 MiB\n");
    test_expect_error(s, ARGV("image", "show", "mien"), 125,
                      "there is no image 'mien' (did you mean 'mine'?); 'holm image list'");
}

static void test_create(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char kernel[PATH_MAX], rootfs[PATH_MAX];
    write_files(dir, kernel, rootfs);
    auto_test_server struct test_server *s = test_server_new(REPLIES(
        CALL("POST", "/v1/images", 201, OWN_IMAGE(ID_A, "mine", "missing", "")),
        CALL("PUT", IMAGE_A "/kernel", 200, "{}"), CALL("PUT", IMAGE_A "/rootfs", 200, "{}"),
        CALL("POST", IMAGE_A "/set-default", 200, OWN_IMAGE(ID_A, "mine", "ready", "")),
        OK(IMAGE_A, OWN_IMAGE(ID_A, "mine", "ready", ""))));
    test_expect(s,
                ARGV("image", "create", "mine", "--kernel", kernel, "--rootfs", rootfs,
                     "--description", "for work"),
                0, ID_A "\n", "");
    test_expect(
        s, ARGV("image", "create", "mine", "--kernel", kernel, "--rootfs", rootfs, "--default"), 0,
        ID_A "\n", "");
    assert_string_equal(test_server_log(s),
                        "POST /v1/images {\"name\":\"mine\",\"description\":\"for work\"}\n"
                        "PUT " IMAGE_A "/kernel\nPUT " IMAGE_A "/rootfs\nGET " IMAGE_A "\n"
                        "POST /v1/images {\"name\":\"mine\"}\n"
                        "PUT " IMAGE_A "/kernel\nPUT " IMAGE_A "/rootfs\n"
                        "POST " IMAGE_A "/set-default\n");
    auto_buf struct buf shown = {0};
    assert_int_equal(
        test_on_terminal(s, ARGV("image", "create", "mine", "--kernel", kernel, "--rootfs", rootfs),
                         "", &shown),
        0);
    test_has(&shown, "6 B in ");
    test_has(&shown, "mine");
}

static void test_a_refused_file_leaves_no_image(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char kernel[PATH_MAX], rootfs[PATH_MAX];
    write_files(dir, kernel, rootfs);
    auto_test_server struct test_server *s = test_server_new(
        REPLIES(CALL("POST", "/v1/images", 201, OWN_IMAGE(ID_A, "mine", "missing", "")),
                CALL("PUT", IMAGE_A "/kernel", 400,
                     "{\"error\":{\"code\":\"invalid\",\"message\":\"this is a gzip file\"}}"),
                CALL("DELETE", IMAGE_A, 200, "{}")));
    test_expect_error(s, ARGV("image", "create", "mine", "--kernel", kernel, "--rootfs", rootfs),
                      125, "this is a gzip file");
    assert_non_null(strstr(test_server_log(s), "DELETE " IMAGE_A "\n"));
    assert_null(strstr(test_server_log(s), "rootfs"));
}

static void test_command_lines_that_make_no_sense(void **state)
{
    auto_test_server struct test_server *s = test_server_new(REPLIES(LIST));
    test_expect_error(s, ARGV("image", "create"), 2, "what shall it be called?");
    test_expect_error(s, ARGV("image", "create", "x", "--kernel", "k"), 2, "an image needs both");
    test_expect_error(s, ARGV("image", "upload", "mine"), 2, "what is to be uploaded?");
    test_expect_error(s, ARGV("image", "upload", "mine", "--kernel", "/none/at/all"), 125,
                      "cannot read /none/at/all");
    test_expect_error(s, ARGV("image", "upload", "mine", "--rootfs", "/tmp"), 125,
                      "/tmp is a directory");
    assert_string_equal(test_server_log(s), "");
}

static void test_change_and_delete(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char kernel[PATH_MAX], rootfs[PATH_MAX];
    write_files(dir, kernel, rootfs);
    auto_test_server struct test_server *s = test_server_new(
        REPLIES(LIST, CALL("PUT", IMAGE_A "/rootfs", 200, "{}"),
                CALL("POST", IMAGE_A "/set-default", 200, OWN_IMAGE(ID_A, "mine", "ready", "")),
                CALL("DELETE", IMAGE_A, 200, "{}"),
                CALL("DELETE", IMAGE_B, 403,
                     "{\"error\":{\"code\":\"forbidden\",\"message\":\"Holm's own\"}}")));
    test_expect(s, ARGV("image", "upload", "mine", "--rootfs", rootfs), 0, "", "");
    assert_string_equal(test_server_body(s), "files");
    test_expect(s, ARGV("image", "set-default", "mine"), 0, "", "");
    auto_buf struct buf no = {0};
    assert_int_equal(test_on_terminal(s, ARGV("image", "delete", "mine"), "\n", &no), 125);
    test_has(&no, "Delete the image mine? [y/N] ");
    test_expect(s, ARGV("image", "delete", "-f", "none", "mine"), 0, "", "");
    test_expect_error(s, ARGV("image", "delete", "bash"), 125, "Holm's own");
}

int main(int argc, char **argv)
{
    test_holm_set(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_and_show),
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_a_refused_file_leaves_no_image),
        cmocka_unit_test(test_command_lines_that_make_no_sense),
        cmocka_unit_test(test_change_and_delete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
