/* SPDX-License-Identifier: Apache-2.0 */

/* holm image push, pull, and list --remote: what is asked of the daemon, how it is followed. */

#include "cli/test_cmd.h"

#define BUILD_A "/v1/builds/" ID_A
#define PUSH "/v1/images/" ID_B "/push"
#define PULL "/v1/images/pull"
#define MOVE(kind, state, more)                                                         \
    "{\"id\":\"" ID_A "\",\"kind\":\"" kind "\",\"name\":\"python\",\"state\":\"" state \
    "\",\"step\":\"" kind " image python\",\"createdAt\":\"2020-01-01T00:00:00Z\"," more "}"
#define FAR(done, total) "\"done\":" done ",\"total\":" total ",\"detail\":\"\""
#define IMAGES       \
    OK("/v1/images", \
       "[{\"id\":\"" ID_B "\",\"name\":\"python\"},{\"id\":\"" ID_C "\",\"name\":\"nodejs\"}]")
#define REMOTE                                                                            \
    OK("/v1/images/remote",                                                               \
       "[{\"name\":\"nodejs\",\"kind\":\"image\",\"path\":\"s3://b/holm/images/nodejs\"," \
       "\"bytes\":104857600,\"pushedAt\":\"2020-01-01T00:00:00Z\"},"                      \
       "{\"name\":\"js\",\"kind\":\"template\",\"path\":\"s3://b/holm/templates/js\","    \
       "\"bytes\":2048,\"pushedAt\":\"2020-01-01T00:00:00Z\"}]")

static void test_a_push_is_followed(void **state)
{
    auto_test_server struct test_server *s = test_server_new(
        REPLIES(IMAGES, CALL("POST", PUSH, 202, MOVE("push", "waiting", FAR("0", "0"))),
                OK(BUILD_A, MOVE("push", "done", FAR("9", "9")))));
    test_expect(s, ARGV("image", "push", "python", "--what", "both"), 0, "", "");
    assert_string_equal(test_server_log(s), "GET /v1/images\nPOST " PUSH " {\"what\":\"both\"}\n"
                                            "GET " BUILD_A "\n");
    test_expect_error(s, ARGV("image", "push", "pithon"), 125,
                      "there is no image 'pithon' (did you mean 'python'?)");
}

/* How much of it is not known before the end. */
static void test_a_push_on_a_terminal(void **state)
{
    auto_test_server struct test_server *s = test_server_new(
        REPLIES(IMAGES, CALL("POST", PUSH, 202, MOVE("push", "running", FAR("3145728", "0"))),
                OK(BUILD_A, MOVE("push", "done", FAR("9", "9")))));
    auto_buf struct buf shown = {0};
    assert_int_equal(test_on_terminal(s, ARGV("image", "push", "python"), "", &shown), 0);
    test_has(&shown, "python: push image python (3.0 MiB)");
    test_has(&shown, "the push of python is done");
}

static void test_a_pull_is_followed(void **state)
{
    auto_test_server struct test_server *s =
        test_server_new(REPLIES(CALL("POST", PULL, 202, MOVE("pull", "running", FAR("1", "4"))),
                                OK(BUILD_A, MOVE("pull", "done", FAR("4", "4")))));
    auto_buf struct buf shown = {0};
    assert_int_equal(test_on_terminal(s, ARGV("image", "pull", "python"), "", &shown), 0);
    test_has(&shown, "python: pull image python (25%)");
    test_has(&shown, "the pull of python is done");
    test_expect(s, ARGV("image", "pull", "-d", "--what", "template", "python"), 0, ID_A "\n", "");
    assert_string_equal(test_server_body(s), "{\"what\":\"template\",\"name\":\"python\"}");
}

static void test_failures(void **state)
{
    auto_test_server struct test_server *s = test_server_new(REPLIES(
        CALL("POST", PULL, 202,
             MOVE("pull", "failed",
                  "\"done\":0,\"total\":0,\"detail\":\"the object store has no image python\"")),
        CALL("POST", PULL, 409,
             "{\"error\":{\"code\":\"conflict\",\"message\":\"s3.bucket is not set\"}}")));
    test_expect_error(s, ARGV("image", "pull", "python"), 125,
                      "the pull of python failed: the object store has no image python");
    test_expect_error(s, ARGV("image", "pull", "python"), 125, "s3.bucket is not set");
    test_expect_error(s, ARGV("image", "pull"), 2, "which image?");
    test_expect_error(s, ARGV("image", "push"), 2, "which image?");
    test_expect_error(s, ARGV("image", "pull", "x", "--what", "all"), 2,
                      "--what is image, template or both");
    test_expect_error(s, ARGV("image", "push", "x", "--what", ""), 2,
                      "--what is image, template or both");
}

static void test_list(void **state)
{
    auto_test_server struct test_server *s = test_server_new(REPLIES(REMOTE));
    auto_test_ran struct test_ran ran;
    test_holm(s, &(struct test_run){.argv = ARGV("image", "list", "--remote")}, &ran);
    assert_int_equal(ran.code, 0);
    test_has(&ran.out, "nodejs  image     100 MiB");
    test_has(&ran.out, "js      template  2.0 KiB");
    test_has(&ran.out, "s3://b/holm/templates/js\n");
    auto_test_server struct test_server *empty =
        test_server_new(REPLIES(OK("/v1/images/remote", "[]")));
    test_expect(empty, ARGV("image", "list", "--remote", "--json"), 0, "[]\n", "");
    auto_buf struct buf shown = {0};
    assert_int_equal(test_on_terminal(empty, ARGV("image", "list", "--remote"), "", &shown), 0);
    test_has(&shown, "there are none; 'holm image push IMAGE' puts one there");
}

/* Templates are called by languages, which are no images. */
static void test_names_for_completions(void **state)
{
    auto_test_server struct test_server *s = test_server_new(REPLIES(REMOTE));
    test_expect(s, ARGV("_names", "remote-images"), 0, "nodejs\n", "");
}

int main(int argc, char **argv)
{
    test_holm_set(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_push_is_followed),
        cmocka_unit_test(test_a_push_on_a_terminal),
        cmocka_unit_test(test_a_pull_is_followed),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_names_for_completions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
