/* SPDX-License-Identifier: Apache-2.0 */

/* holm image build and builds: what is asked of the daemon, how it is followed, what is shown when
 * it fails. */

#include "cli/test_cmd.h"

#include <limits.h>
#include <signal.h>
#include <sys/stat.h>

#include "base/fd.h"

#define BUILDS "/v1/builds"
#define BUILD_A BUILDS "/" ID_A
#define BUILD(id, name, state, detail)                                               \
    "{\"id\":\"" id "\",\"kind\":\"image\",\"name\":\"" name "\",\"state\":\"" state \
    "\",\"step\":\"install packages\",\"done\":1,\"total\":4,\"detail\":\"" detail   \
    "\",\"createdAt\":\"2020-01-01T00:00:00Z\",\"startedAt\":null,\"endedAt\":null}"
#define SUM "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_a_build_is_followed(void **state)
{
    auto_test_server struct test_server *s =
        test_server_new(REPLIES(CALL("POST", BUILDS, 202, BUILD(ID_A, "python", "waiting", "")),
                                OK(BUILD_A, BUILD(ID_A, "python", "running", "")),
                                OK(BUILD_A, BUILD(ID_A, "python", "done", ""))));
    test_expect(s, ARGV("image", "build", "python", "--size", "512", "--force"), 0, "", "");
    assert_string_equal(test_server_log(s),
                        "POST " BUILDS " {\"sizeMib\":512,\"force\":true,\"name\":\"python\"}\n"
                        "GET " BUILD_A "\nGET " BUILD_A "\n");
    auto_test_server struct test_server *again =
        test_server_new(REPLIES(CALL("POST", BUILDS, 202, BUILD(ID_A, "python", "running", "")),
                                OK(BUILD_A, BUILD(ID_A, "python", "done", ""))));
    auto_buf struct buf shown = {0};
    assert_int_equal(test_on_terminal(again, ARGV("image", "build", "python"), "", &shown), 0);
    test_has(&shown, "python: install packages (25%)");
    test_has(&shown, "image python is ready");
}

static void test_ctrl_c_only_ends_the_looking_on(void **state)
{
    auto_test_server struct test_server *s =
        test_server_new(REPLIES(CALL("POST", BUILDS, 202, BUILD(ID_A, "python", "running", "")),
                                OK(BUILD_A, BUILD(ID_A, "python", "running", ""))));
    auto_buf struct buf shown = {0};
    struct test_tty tty;
    test_tty_start(s, ARGV("image", "build", "python"), &tty);
    test_tty_expect(&tty, "(25%)", &shown);
    kill(tty.child.pid, SIGINT);
    test_tty_expect(&tty, "the build of python goes on: holm image builds", &shown);
    assert_int_equal(test_tty_end(&tty), 128 + SIGINT);
    assert_null(strstr(test_server_log(s), "DELETE"));
}

static void test_a_failure_shows_the_log(void **state)
{
    static const struct test_reply log = {.path = BUILD_A "/log",
                                          .status = 200,
                                          .type = "text/plain",
                                          .steps = {"one\ntwo\x1b[2J\n"}};
    auto_test_server struct test_server *s = test_server_new(REPLIES(
        CALL("POST", BUILDS, 202, BUILD(ID_A, "c", "failed", "customize: no such wheel")), log));
    test_expect_error(s, ARGV("image", "build", "c"), 125,
                      "image c was not made: customize: no such wheel");
    auto_test_ran struct test_ran ran;
    test_holm(s, &(struct test_run){.argv = ARGV("image", "build", "c")}, &ran);
    test_has(&ran.err, "    | one\n    | two");
    assert_null(strchr(buf_str(&ran.err), '\x1b'));
}

static void test_several_and_all(void **state)
{
    auto_test_server struct test_server *s = test_server_new(
        REPLIES(CALL("POST", BUILDS, 202, BUILD(ID_A, "x", "done", "")),
                OK("/api/v1/languages",
                   "{\"languages\":[{\"name\":\"awk\"},{\"name\":\"lua\"},{\"name\":\"c\"}]}"),
                OK("/api/v1/languages/awk", "{\"image\":\"scripts\"}"),
                OK("/api/v1/languages/lua", "{\"image\":\"scripts\"}"),
                OK("/api/v1/languages/c", "{\"image\":\"c\"}")));
    test_expect(s, ARGV("image", "build", "a", "b"), 0, "", "");
    test_expect(s, ARGV("image", "build", "--detach", "a"), 0, ID_A "\n", "");
    assert_string_equal(test_server_log(s),
                        "POST " BUILDS " {\"name\":\"a\"}\nPOST " BUILDS
                        " {\"name\":\"b\"}\nPOST " BUILDS " {\"name\":\"a\"}\n");
    test_expect(s, ARGV("image", "build", "--all"), 0, "", "");
    assert_int_equal(test_server_count(s, BUILDS), 5);
}

static void test_toolchains(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char path[PATH_MAX], body[2 * PATH_MAX];
    snprintf(path, sizeof(path), "%s/zig.tar", dir);
    assert_int_equal(file_write_atomic(path, "x", 1, 0600), 0);
    auto_test_server struct test_server *s =
        test_server_new(REPLIES(CALL("POST", BUILDS, 202, BUILD(ID_A, "zig", "done", ""))));
    test_expect(s, ARGV("image", "build", "zig", "--toolchain", path, "--sha256", SUM), 0, "", "");
    snprintf(body, sizeof(body), "{\"toolchain\":\"%s\",\"sha256\":\"" SUM "\",\"name\":\"zig\"}",
             path);
    assert_string_equal(test_server_body(s), body);
}

static void test_containers(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/web.tar", dir);
    assert_int_equal(file_write_atomic(path, "archive", 7, 0600), 0);
    auto_test_server struct test_server *s = test_server_new(REPLIES(
        CALL("PUT", BUILDS "/oci", 202, BUILD(ID_A, "web", "done", "")),
        CALL("PUT", BUILDS "/dockerfile", 502,
             "{\"error\":{\"code\":\"unavailable\",\"message\":\"buildah is not installed\"}}")));
    test_expect(s, ARGV("image", "build", "web", "--from-oci", path, "--size", "64"), 0, "", "");
    assert_string_equal(test_server_body(s), "archive");
    assert_string_equal(test_server_log(s), "PUT " BUILDS "/oci?name=web&sizeMib=64\n");
    /* A directory goes as a tar. */
    test_expect(s, ARGV("image", "build", "web", "--from-oci", dir), 0, "", "");
    assert_true(test_server_body_len(s) >= 1024);
    test_expect_error(s, ARGV("image", "build", "web", "--dockerfile", dir), 125,
                      "buildah is not installed");
}

static void test_command_lines_that_make_no_sense(void **state)
{
    auto_test_server struct test_server *s = test_server_new(REPLIES(OK("/none", "{}")));
    static const struct {
        const char *words[6], *text;
    } cases[] = {
        {{"image", "build"}, "which image?"},
        {{"image", "build", "--all", "x"}, "either --all or names"},
        {{"image", "build", "x", "--size", "1"}, "16"},
        {{"image", "build", "x", "--sha256", "0"}, "go together"},
        {{"image", "build", "--from-oci", "/tmp"}, "One NAME"},
        {{"image", "build", "a/b", "--from-oci", "/tmp"}, "a-z"},
        {{"image", "build", "x", "--from-oci=/tmp", "--dockerfile=/tmp"}, "exclude each other"},
        {{"image", "build", "x", "--from-oci=/tmp", "--force"}, "for images by recipe"},
        {{"image", "build", "x", "--dockerfile", "/etc/passwd"}, "takes the directory"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        test_expect_error(s, cases[i].words, 2, cases[i].text);
    test_expect_error(s, ARGV("image", "build", "x", "--from-oci", "/none/at/all"), 125,
                      "cannot read /none/at/all");
    assert_string_equal(test_server_log(s), "");
}

static void test_list(void **state)
{
    auto_test_server struct test_server *s =
        test_server_new(REPLIES(OK(BUILDS, "[" BUILD(ID_A, "python", "running", "") "," BUILD(
                                               ID_B, "c", "failed", "it broke") "]")));
    auto_test_ran struct test_ran ran;
    test_holm(s, &(struct test_run){.argv = ARGV("image", "builds")}, &ran);
    assert_int_equal(ran.code, 0);
    test_has(&ran.out, ID_A "  image  python  running");
    test_has(&ran.out, "install packages\n");
    test_has(&ran.out, "it broke\n");
}

int main(int argc, char **argv)
{
    test_holm_set(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_build_is_followed),
        cmocka_unit_test(test_ctrl_c_only_ends_the_looking_on),
        cmocka_unit_test(test_a_failure_shows_the_log),
        cmocka_unit_test(test_several_and_all),
        cmocka_unit_test(test_toolchains),
        cmocka_unit_test(test_containers),
        cmocka_unit_test(test_command_lines_that_make_no_sense),
        cmocka_unit_test(test_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
