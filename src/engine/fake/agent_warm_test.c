/* SPDX-License-Identifier: Apache-2.0 */

/* Programs of the fake guest that wait, by the agent's protocol. */

#include "base/test.h"

#include "engine/fake/test_engine.h"
#include "engine/fake/test_guest.h"

/* A request whose body is a spec. */
static void post(struct fixture *f, const char *path, const struct exec_spec *spec, int status)
{
    auto_buf struct buf json = {0};
    struct test_call c = {.guest = &f->guest};
    assert_int_equal(0, exec_spec_encode(spec, &json, NULL));
    test_call_open(&c, "POST", path, json.data, json.len);
    test_call_wait(&c, false);
    assert_int_equal(status, c.status);
    test_call_done(&c);
}

static void conflict(struct fixture *f, const struct exec_spec *spec)
{
    struct test_call c = {.guest = &f->guest, .send_ended = true};
    test_call_spec(&c, spec);
    test_call_wait(&c, false);
    assert_int_equal(409, c.status);
    test_call_done(&c);
}

static void test_programs_that_wait(void **state)
{
    struct fixture *f = *state;
    char run[] = "run", twin[] = "twin", none[] = "none";
    const struct exec_spec echo = {.argv = STRINGS("echo", "before")};
    test_boot_connected(f);
    post(f, "/v1/warm?id=run", &echo, 200);
    post(f, "/v1/warm?id=run", &echo, 409);
    post(f, "/v1/warm?id=twin", &echo, 200);
    post(f, "/v1/warm?id=RUN", &echo, 400);
    post(f, "/v1/warm?id=x", &(struct exec_spec){.argv = STRINGS("a"), .warm = run}, 400);
    post(f, "/v1/warm/rehearse", &(struct exec_spec){.argv = STRINGS(NULL), .warm = run}, 200);
    post(f, "/v1/warm/rehearse", &(struct exec_spec){.argv = STRINGS(NULL), .warm = none}, 409);
    post(f, "/v1/warm/rehearse", &echo, 400);
    conflict(f, &(struct exec_spec){.argv = STRINGS("x"), .warm = run, .uid = 1});
    test_call_prints(&f->guest, &(struct exec_spec){.argv = STRINGS("x", ""), .warm = run},
                     "before x \n");
    conflict(f, &(struct exec_spec){.argv = STRINGS("x"), .warm = run});
    post(f, "/v1/warm?id=run", &echo, 200);
    test_call_prints(&f->guest,
                     &(struct exec_spec){.argv = STRINGS(NULL), .warm = run, .alone = true},
                     "before\n");
    conflict(f, &(struct exec_spec){.argv = STRINGS("x"), .warm = twin});
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST_ENGINE(test_programs_that_wait)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
