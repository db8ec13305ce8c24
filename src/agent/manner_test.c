/* SPDX-License-Identifier: Apache-2.0 */

/* How programs run: as whom, with which environment, on a terminal. */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "agent/test_client.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/test.h"

#define TEXT(s) ((char *)(uintptr_t)(s))

struct fixture {
    char *dir;
    char home[PATH_MAX];
    struct test_client client;
};

static void write_file(const struct fixture *f, const char *name, const char *text)
{
    char path[PATH_MAX];
    path_printf(path, sizeof(path), "%s/%s", f->dir, name);
    assert_int_equal(0, file_write_atomic(path, text, strlen(text), 0644));
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    auto_buf struct buf passwd = {0};
    f->dir = test_dir_make();
    assert_int_equal(0, chmod(f->dir, 0755));
    path_printf(f->home, sizeof(f->home), "%s/home", f->dir);
    assert_int_equal(0, mkdir(f->home, 0755));
    buf_printf(&passwd,
               "root:x:0:0:root:%s:/bin/sh\n"
               "broken line\n"
               "me:x:4321:5432:Me,,,:%s:/bin/sh\n"
               "homeless:x:4322:5432::/no/such:\n",
               f->home, f->home);
    write_file(f, "passwd", buf_str(&passwd));
    write_file(f, "group", "root:x:0:\ng1:x:111:you,me\nfive:x:5432:me\ng2:x:222:me\ng3:x:333:men");
    write_file(f, "environment",
               "# comment\nPATH=/opt/bin:/usr/bin:/bin\nexport A=\"x y\"\nB='q'  \n"
               "bad line\nLANG=C\n");
    struct agent_options options = {.init = REPORT_INIT_IMAGE, .etc_dir = f->dir};
    test_client_start_with(&f->client, &options);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    test_client_stop(&f->client);
    test_dir_drop(&f->dir);
    free(f);
    return 0;
}

static void run(struct fixture *f, struct exec_spec *spec, struct test_request *q)
{
    q->keep_out = true;
    test_exec(&f->client, q, spec, true);
    test_wait_closed(q);
}

static void expect(struct fixture *f, struct exec_spec *spec, const char *want)
{
    auto_test_request struct test_request q = {0};
    run(f, spec, &q);
    if (q.status != 200)
        fail_msg("%s", buf_str(&q.answer));
    assert_string_equal(want, buf_str(&q.out));
}

static void test_users(void **state)
{
    static const struct {
        const char *user;
        const char *want;
    } rows[] = {
        {"me", "4321\n5432\n5432 111 222\n"},
        {"homeless", "4322\n5432\n5432\n"},
        {"root", "0\n0\n0\n"},
        {"4321", "4321\n5432\n5432 111 222\n"},
        {"4321:7", "4321\n7\n7\n"},
        {"99999", "99999\n0\n0\n"},
        {"99999:88888", "99999\n88888\n88888\n"},
    };
    if (getuid() != 0)
        skip();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct exec_spec spec = {.argv = ARGV("/bin/sh", "-c", "id -u; id -g; id -G"),
                                 .user = TEXT(rows[i].user)};
        spec.env = ARGV("PATH=/usr/bin:/bin");
        expect(*state, &spec, rows[i].want);
    }
}

static void test_unknown_users(void **state)
{
    static const char *const names[] = {"you", "4294967295", "1:", ":1", "1:x", "-1", "me:me"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct exec_spec spec = {.argv = ARGV("true"), .user = TEXT(names[i])};
        auto_test_request struct test_request q = {0};
        char want[128];
        run(*state, &spec, &q);
        assert_int_equal(400, q.status);
        snprintf(want, sizeof(want),
                 "{\"error\":\"there is no user \\\"%s\\\"\",\"field\":\"user\"}", names[i]);
        assert_string_equal(want, buf_str(&q.answer));
    }
}

static void test_login(void **state)
{
    struct fixture *f = *state;
    if (getuid() != 0)
        skip();
    char want[2 * PATH_MAX];
    struct exec_spec spec = {.argv = ARGV("sh", "-c", "env | grep -v ^_= | sort; pwd"),
                             .user = TEXT("me"),
                             .login = true};
    spec.env = ARGV("B=own", "PWD=", "OLDPWD=", "SHLVL=");
    snprintf(want, sizeof(want),
             "A=x y\nB=own\nHOME=%s\nLANG=C\nLOGNAME=me\nOLDPWD=\nPATH=/opt/bin:/usr/bin:/bin\n"
             "PWD=%s\nSHELL=/bin/sh\nSHLVL=\nUSER=me\n%s\n",
             f->home, f->home, f->home);
    expect(f, &spec, want);
}

/* A home that is not there, a shell that is not named, a uid that nobody has. */
static void test_login_without(void **state)
{
    if (getuid() != 0)
        skip();
    struct exec_spec spec = {.argv = ARGV("/bin/sh", "-c", "pwd; echo $HOME $SHELL $USER $TERM"),
                             .login = true};
    spec.user = TEXT("homeless");
    expect(*state, &spec, "/\n/no/such /bin/sh homeless\n");
    spec.user = TEXT("77777");
    expect(*state, &spec, "/\n/ /bin/sh\n");
    spec.user = NULL; /* uid 0, by its line */
    struct fixture *f = *state;
    char want[2 * PATH_MAX + 64];
    snprintf(want, sizeof(want), "%s\n%s /bin/sh root\n", f->home, f->home);
    expect(*state, &spec, want);
    spec.cwd = TEXT("/usr");
    snprintf(want, sizeof(want), "/usr\n%s /bin/sh root\n", f->home);
    expect(*state, &spec, want);
}

/* --- terminals --- */

static bool says(struct test_request *q, const char *what)
{
    return strstr(buf_str(&q->out), what) != NULL || q->closed;
}

static const char *wanted;

static bool says_wanted(void *arg)
{
    return says(arg, wanted);
}

static void wait_for(struct test_request *q, const char *what)
{
    wanted = what;
    test_pump(q->client, says_wanted, q);
    if (!strstr(buf_str(&q->out), what))
        fail_msg("no \"%s\" in \"%s\"", what, buf_str(&q->out));
}

static void type(struct test_request *q, const char *text)
{
    test_send_frame(q, FRAME_STDIN, text, strlen(text));
}

static void open_terminal(struct fixture *f, struct test_request *q, const char *script)
{
    struct exec_spec spec = {.argv = ARGV("/bin/sh", "-c", script), .pty_rows = 25, .pty_cols = 81};
    spec.env = ARGV("PATH=/usr/bin:/bin");
    q->keep_out = true;
    test_exec(&f->client, q, &spec, false);
}

static void test_terminal(void **state)
{
    auto_test_request struct test_request q = {0};
    open_terminal(*state, &q,
                  "stty size; test -t 0 && test -t 1 && test -t 2 && echo tty;"
                  "exec 3</dev/tty && echo controls; read x; echo \"got $x\" >&2; exit 4");
    wait_for(&q, "controls");
    type(&q, "line\n");
    test_wait_closed(&q);
    /* Echoed, and with the terminal's line ends; all of it is standard output. */
    assert_string_equal("25 81\r\ntty\r\ncontrols\r\nline\r\ngot line\r\n", buf_str(&q.out));
    assert_int_equal(4, q.exit.code);
    assert_int_equal(0, q.err.len);
    assert_int_equal(q.out.len, q.exit.stdout_bytes);
}

static void test_resize(void **state)
{
    uint8_t frame[FRAME_HEADER_BYTES + FRAME_RESIZE_BYTES];
    auto_test_request struct test_request q = {0};
    open_terminal(*state, &q,
                  "trap 'stty size; exit 0' WINCH; echo up; while :; do sleep 0.01; done");
    wait_for(&q, "up");
    frame_resize(frame, 50, 132);
    /* In two pieces, to be put together again. */
    test_send(&q, frame, 5, false);
    auto_test_request struct test_request other = {0};
    test_sh(q.client, &other, "true");
    test_send(&q, frame + 5, sizeof(frame) - 5, false);
    test_wait_closed(&q);
    assert_string_equal("up\r\n50 132\r\n", buf_str(&q.out));
}

/* Control characters are the terminal's: ^C interrupts, ^D ends the input. */
static void test_control(void **state)
{
    auto_test_request struct test_request q = {0}, d = {0};
    open_terminal(*state, &q, "trap 'exit 9' INT; echo up; while :; do sleep 0.01; done");
    wait_for(&q, "up");
    type(&q, "\003");
    test_wait_closed(&q);
    assert_int_equal(9, q.exit.code);
    open_terminal(*state, &d, "echo up; cat; echo after");
    wait_for(&d, "up");
    type(&d, "\004");
    test_wait_closed(&d);
    assert_string_equal("up\r\nafter\r\n", buf_str(&d.out));
}

static void test_hang_up(void **state)
{
    auto_test_request struct test_request q = {0};
    open_terminal(*state, &q, "echo up; sleep 1000");
    wait_for(&q, "up");
    test_send(&q, NULL, 0, true);
    test_wait_closed(&q);
    assert_true(q.exited);
    assert_int_equal(SIGHUP, q.exit.signal);
}

/* What was started with nohup keeps the terminal open; the answer ends all the same, and it lives.
 */
static void test_background(void **state)
{
    auto_test_request struct test_request q = {0}, k = {0};
    char script[64];
    open_terminal(*state, &q, "trap '' HUP; sleep 1000 & echo pid=$!=");
    test_wait_closed(&q);
    assert_int_equal(0, q.exit.code);
    const char *pid = strstr(buf_str(&q.out), "pid=");
    assert_non_null(pid);
    snprintf(script, sizeof(script), "kill %d", atoi(pid + 4));
    test_sh(q.client, &k, script);
    assert_int_equal(0, k.exit.code);
}

static void test_login_shell(void **state)
{
    struct fixture *f = *state;
    auto_test_request struct test_request q = {.keep_out = true};
    struct exec_spec spec = {
        .argv = (char *[]){NULL}, .login = true, .pty_rows = 9, .pty_cols = 99};
    spec.env = ARGV("PS1=");
    if (getuid() != 0)
        skip();
    test_exec(&f->client, &q, &spec, false);
    type(&q, "echo \"[$0 $TERM $PWD $USER]\"; exit 5\n");
    test_wait_closed(&q);
    char want[PATH_MAX + 64];
    snprintf(want, sizeof(want), "[-sh xterm-256color %s root]\r\n", f->home);
    if (!strstr(buf_str(&q.out), want))
        fail_msg("no %s in %s", want, buf_str(&q.out));
    assert_int_equal(5, q.exit.code);
}

static void test_large_output(void **state)
{
    auto_test_request struct test_request q = {0};
    open_terminal(*state, &q, "stty raw -echo; echo go; head -c 3000000 /dev/zero");
    test_wait_closed(&q);
    assert_int_equal(3000003, q.exit.stdout_bytes);
}

static void test_bad_resize(void **state)
{
    auto_test_request struct test_request q = {0};
    open_terminal(*state, &q, "echo up; sleep 1000");
    wait_for(&q, "up");
    test_send_frame(&q, FRAME_RESIZE, "abc", 3);
    test_wait_closed(&q);
    assert_false(q.complete);
}

#define MANNER_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MANNER_TEST(test_users),        MANNER_TEST(test_unknown_users),
        MANNER_TEST(test_login),        MANNER_TEST(test_login_without),
        MANNER_TEST(test_terminal),     MANNER_TEST(test_resize),
        MANNER_TEST(test_control),      MANNER_TEST(test_hang_up),
        MANNER_TEST(test_background),   MANNER_TEST(test_login_shell),
        MANNER_TEST(test_large_output), MANNER_TEST(test_bad_resize),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
