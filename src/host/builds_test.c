/* SPDX-License-Identifier: Apache-2.0 */

/* Builds on the fake engine, with a builder that is a script of this test's: what it is called
 * with, what is told of it, and that nothing of it stays behind. */

#include "host/test_host.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "host/builds.h"
#include "host/host_priv.h"
#include "host/image.h"
#include "host/image_priv.h"
#include "host/images.h"

#define PATIENCE_MS 60000
#define SUM "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef"

/* "slow" opens the FIFO `alive` for as long as it, or what it started, lives. */
static const char script[] =
    "#!/bin/bash\n"
    "if [[ $1 == --list ]]; then printf '%s default=yes x\\n' bash perl python bad slow; exit; fi\n"
    "here=$(dirname \"$0\")\n"
    "name=${!#} data=$2\n"
    "echo \"called with $*\"\n"
    "printf 'step\\t%s\\tinstall packages\\n' \"$name\" >&3\n"
    "printf 'progress\\ttasks\\t1\\t2\\n' >&3\n"
    "case $name in\n"
    "bad) printf 'step\\tbad\\tcustomize\\n' >&3\n"
    "     printf 'failed\\tbad\\tcustomize\\tno such wheel\\n' >&3; exit 1 ;;\n"
    "slow) exec 4>\"$here/alive\"; sleep 1000 & echo up >&4; wait ;;\n"
    "perl) ;;\n" /* up to date */
    "*) mkdir -p \"$data/images/$name\"; echo \"$*\" >\"$data/images/$name/.new\"\n"
    "   mv \"$data/images/$name/.new\" \"$data/images/$name/rootfs.ext4\" ;;\n"
    "esac\n";

static void write_script(const char *dir)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/recipes", dir);
    assert_int_equal(0, dir_make(path, 0755));
    snprintf(path, sizeof(path), "%s/recipes/build", dir);
    assert_int_equal(0, file_write_atomic(path, script, strlen(script), 0755));
    snprintf(path, sizeof(path), "%s/recipes/alive", dir);
    assert_int_equal(0, mkfifo(path, 0600));
}

static int setup(void **state)
{
    test_host_setup(state);
    struct test_host *t = *state;
    write_script(t->dir);
    snprintf(t->config.images_dir, sizeof(t->config.images_dir), "%s/recipes", t->dir);
    return 0;
}

/* The template whose state the languages of this image have. */
static struct image_ask ask_python(const struct test_host *t)
{
    return image_of_language(host_language_find("python"));
}

static void begin(struct test_host *t, const struct image_order *o, struct build_info *ret)
{
    struct err e = ERR_INIT;
    if (host_build_image(t->host, o, ret, &e) < 0)
        fail_msg("%s: %s", o->name, e.text);
}

static void await_end(struct test_host *t, struct build_info *b)
{
    struct err e = ERR_INIT;
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    while (b->state == BUILD_WAITING || b->state == BUILD_RUNNING) {
        assert_true(clock_mono_ms() < until_ms);
        poll(NULL, 0, 5);
        assert_int_equal(0, host_build_get(t->host, b->id, b, &e));
    }
}

static void await_ready(struct test_host *t, const char *language)
{
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    struct language_status st = {.state = LANGUAGE_PREPARING};
    while (host_language_status(t->host, host_language_find(language), &st),
           st.state != LANGUAGE_READY) {
        assert_true(clock_mono_ms() < until_ms);
        poll(NULL, 0, 5);
    }
}

static void assert_log(struct test_host *t, const char *id, const char *text)
{
    struct err e = ERR_INIT;
    auto_buf struct buf log = {0};
    assert_int_equal(0, host_build_log(t->host, id, &log, &e));
    if (!strstr(buf_str(&log), text))
        fail_msg("not in the log: %s; it is: %s", text, buf_str(&log));
}

/* Until the slow builder runs; returns the FIFO, which ends with the last process that has it. */
static int await_slow(struct test_host *t)
{
    char path[128], word[3];
    snprintf(path, sizeof(path), "%s/recipes/alive", t->dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(0, fd_read_all(fd, word, 3));
    assert_memory_equal(word, "up\n", 3);
    return fd;
}

static void assert_nothing_lives(int fd)
{
    char c;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(1, poll(&p, 1, PATIENCE_MS));
    assert_int_equal(0, read(fd, &c, 1));
    close(fd);
}

static void test_what_is_up_to_date_stays(void **state)
{
    struct test_host *t = *state;
    const struct image_ask of_perl = image_of_language(host_language_find("perl"));
    struct build_info b;
    struct image_template before, after;
    assert_true(image_template(t->host->images, &of_perl, &before));
    begin(t, &(struct image_order){.name = "perl"}, &b);
    await_end(t, &b);
    assert_int_equal(b.state, BUILD_DONE);
    assert_true(image_template(t->host->images, &of_perl, &after));
    assert_string_equal(before.dir, after.dir);
}

static void test_an_image_is_built(void **state)
{
    struct test_host *t = *state;
    const struct image_ask of_python = ask_python(t);
    struct build_info b, of;
    struct image_template before, after;
    char path[160], command[512];
    assert_true(image_template(t->host->images, &of_python, &before));
    begin(t,
          &(struct image_order){.name = "python",
                                .size_mib = 64,
                                .force = true,
                                .toolchain = "/tmp/x.tar",
                                .sha256 = SUM},
          &b);
    assert_string_equal(b.kind, "image");
    await_end(t, &b);
    assert_int_equal(b.state, BUILD_DONE);
    assert_string_equal(b.step, "install packages");
    assert_string_equal(b.detail, "");
    assert_int_equal(b.done, 1);
    assert_int_equal(b.total, 2);
    assert_true(b.created_ns <= b.started_ns && b.started_ns <= b.ended_ns);
    snprintf(command, sizeof(command),
             "called with --data %s --no-kernel --progress 3 --force --size 64 --toolchain "
             "/tmp/x.tar --sha256 %s python\n",
             t->dir, SUM);
    assert_log(t, b.id, command);
    assert_true(host_build_of(t->host, "python", &of));
    assert_string_equal(of.id, b.id);
    /* The template of its language is another one, and the former is gone. */
    await_ready(t, "python");
    assert_true(image_template(t->host->images, &of_python, &after));
    assert_string_not_equal(before.dir, after.dir);
    assert_int_equal(0, access(after.dir, F_OK));
    for (int i = 0; i < 2000 && access(before.dir, F_OK) == 0; i++)
        poll(NULL, 0, 5);
    assert_int_equal(-1, access(before.dir, F_OK));
    snprintf(path, sizeof(path), "%s/logs/builds/%s.json", t->dir, b.id);
    assert_int_equal(0, access(path, F_OK));
}

static void test_a_failure_says_why(void **state)
{
    struct test_host *t = *state;
    struct build_info b;
    begin(t, &(struct image_order){.name = "bad"}, &b);
    await_end(t, &b);
    assert_int_equal(b.state, BUILD_FAILED);
    assert_string_equal(b.detail, "customize: no such wheel");
    assert_log(t, b.id, "failed: customize: no such wheel\n");
}

static void test_what_is_refused(void **state)
{
    struct test_host *t = *state;
    static const struct {
        struct image_order order;
        enum err_class class;
        const char *field, *text;
    } cases[] = {
        {{.name = "pyhton"}, ERR_NOT_FOUND, "name", "no recipe for an image \"pyhton\""},
        {{.name = "../bash"}, ERR_NOT_FOUND, "name", "no recipe"},
        {{.name = "--list"}, ERR_NOT_FOUND, "name", "no recipe"},
        {{.name = "base"}, ERR_NOT_FOUND, "name", "no recipe"},
        {{.name = ""}, ERR_NOT_FOUND, "name", "no recipe"},
        {{.name = "bash", .size_mib = 15}, ERR_INVALID, "sizeMib", "16 to 65536"},
        {{.name = "bash", .size_mib = 65537}, ERR_INVALID, "sizeMib", "16 to 65536"},
        {{.name = "bash", .toolchain = "x.tar"}, ERR_INVALID, "toolchain", "absolute path"},
        {{.name = "bash", .toolchain = "file:///x"}, ERR_INVALID, "toolchain", "https://"},
        {{.name = "bash", .toolchain = "/a\nb", .sha256 = SUM},
         ERR_INVALID,
         "toolchain",
         "control"},
        {{.name = "bash", .toolchain = "/x"}, ERR_INVALID, "sha256", "64 hexadecimal"},
        {{.name = "bash", .toolchain = "/x", .sha256 = "ab"}, ERR_INVALID, "sha256", "64 hex"},
        {{.name = "bash", .sha256 = SUM}, ERR_INVALID, "sha256", "which one?"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err e = ERR_INIT;
        int r = host_build_image(t->host, &cases[i].order, NULL, &e);
        test_assert_err(r, &e, cases[i].class, cases[i].text);
        assert_string_equal(e.field, cases[i].field);
    }
    struct err e = ERR_INIT;
    struct build_info b;
    test_assert_err(host_build_get(t->host, "nope", &b, &e), &e, ERR_NOT_FOUND, "no build nope");
    snprintf(t->config.images_dir, sizeof(t->config.images_dir), "/none");
    test_assert_err(host_build_image(t->host, &(struct image_order){.name = "bash"}, NULL, &e), &e,
                    ERR_INTERNAL, "/none/build");
}

static void test_one_at_a_time_and_cancelled(void **state)
{
    struct test_host *t = *state;
    struct build_info slow, waits, b;
    struct err e = ERR_INIT;
    begin(t, &(struct image_order){.name = "slow"}, &slow);
    int alive = await_slow(t);
    begin(t, &(struct image_order){.name = "bash"}, &waits);
    assert_int_equal(0, host_build_get(t->host, waits.id, &b, &e));
    assert_int_equal(b.state, BUILD_WAITING);
    int r = host_build_image(t->host, &(struct image_order){.name = "slow"}, NULL, &e);
    test_assert_err(r, &e, ERR_CONFLICT, slow.id);
    r = host_build_image(t->host, &(struct image_order){.name = "bash"}, NULL, &e);
    test_assert_err(r, &e, ERR_CONFLICT, waits.id);
    assert_int_equal(0, host_build_cancel(t->host, waits.id, &b, &e));
    assert_int_equal(b.state, BUILD_CANCELLED);
    test_assert_err(host_build_cancel(t->host, waits.id, &b, &e), &e, ERR_CONFLICT, "cancelled");
    assert_int_equal(0, host_build_cancel(t->host, slow.id, &slow, &e));
    await_end(t, &slow);
    assert_int_equal(slow.state, BUILD_CANCELLED);
    assert_nothing_lives(alive);
    auto_free struct build_info *list = NULL;
    size_t n = 0;
    assert_int_equal(0, host_build_list(t->host, &list, &n, &e));
    assert_int_equal(n, 2);
    assert_string_equal(list[0].id, waits.id);
    assert_string_equal(list[1].id, slow.id);
}

static void test_it_ends_with_the_daemon(void **state)
{
    struct test_host *t = *state;
    struct build_info slow, waits;
    struct err e = ERR_INIT;
    begin(t, &(struct image_order){.name = "slow"}, &slow);
    int alive = await_slow(t);
    begin(t, &(struct image_order){.name = "bash"}, &waits);
    test_host_stop(t);
    assert_nothing_lives(alive);
    test_host_start(t);
    assert_int_equal(0, host_build_get(t->host, slow.id, &slow, &e));
    assert_int_equal(slow.state, BUILD_FAILED);
    assert_string_equal(slow.detail, "the daemon was stopped");
    assert_int_equal(0, host_build_get(t->host, waits.id, &waits, &e));
    assert_int_equal(waits.state, BUILD_FAILED);
    assert_string_equal(waits.detail, "the daemon ended before it did");
}

static void write_at(struct test_host *t, const char *name, const char *text)
{
    char path[192];
    snprintf(path, sizeof(path), "%s/%s", t->dir, name);
    assert_int_equal(0, file_write_atomic(path, text, strlen(text), 0600));
}

/* As a daemon leaves it that was killed in the middle. */
static void test_after_a_kill(void **state)
{
    struct test_host *t = *state;
    char dir[128];
    struct err e = ERR_INIT;
    struct build_info b;
    test_host_stop(t);
    write_at(t, "logs/builds/aaaaaaaaaaaaaaaaaaaa.json",
             "{\"id\":\"aaaaaaaaaaaaaaaaaaaa\",\"kind\":\"image\",\"name\":\"python\",\"state\":"
             "\"running\",\"step\":\"customize\",\"detail\":\"\",\"created_ns\":5,\"started_ns\":6,"
             "\"ended_ns\":0}");
    write_at(t, "logs/builds/bbbbbbbbbbbbbbbbbbbb.json",
             "{\"id\":\"aaaaaaaaaaaaaaaaaaaa\",\"state\":7}");
    write_at(t, "logs/builds/x.json", "");
    for (int i = 0; i < 3; i++) {
        static const char *const left[] = {"build-AbCdEf", BUILD_WORK_PREFIX "oci", "other"};
        snprintf(dir, sizeof(dir), "%s/tmp/%s", t->dir, left[i]);
        assert_int_equal(0, dir_make(dir, 0755));
    }
    test_host_start(t);
    assert_int_equal(0, host_build_get(t->host, "aaaaaaaaaaaaaaaaaaaa", &b, &e));
    assert_int_equal(b.state, BUILD_FAILED);
    assert_string_equal(b.detail, "the daemon ended before it did");
    assert_string_equal(b.step, "customize");
    assert_int_equal(b.created_ns, 5);
    assert_true(b.ended_ns > 6);
    test_assert_err(host_build_get(t->host, "bbbbbbbbbbbbbbbbbbbb", &b, &e), &e, ERR_NOT_FOUND,
                    "no build");
    assert_int_equal(1, test_count_entries(t, "tmp"));
}

static int note_and_fail(struct build *b, void *arg, struct err *e)
{
    int *n = arg;
    auto_free char *text = malloc(BUILD_LOG_KEEP_BYTES);
    memset(text, 'x', BUILD_LOG_KEEP_BYTES);
    build_step(b, "step %d", ++*n);
    for (int i = 0; i < 4; i++) {
        build_log(b, text, BUILD_LOG_KEEP_BYTES - 1);
        build_logf(b, "\nline %d\n", i);
    }
    return err_set(e, ERR_UNAVAILABLE, "no luck");
}

/* What others put in line; how much of it all is kept. */
static void test_what_is_kept(void **state)
{
    struct test_host *t = *state;
    struct err e = ERR_INIT;
    struct build_info b, first = {0};
    int ran = 0;
    for (int i = 0; i < BUILDS_KEPT + 3; i++) {
        const struct build_task task = {
            .kind = "push", .name = "thing", .run = note_and_fail, .arg = &ran};
        assert_int_equal(0, builds_start(t->host, &task, &b, &e));
        await_end(t, &b);
        first = i == 0 ? b : first;
    }
    assert_int_equal(ran, BUILDS_KEPT + 3);
    assert_string_equal(b.detail, "no luck");
    assert_string_equal(b.kind, "push");
    test_assert_err(host_build_get(t->host, first.id, &b, &e), &e, ERR_NOT_FOUND, first.id);
    assert_int_equal(2 * BUILDS_KEPT, test_count_entries(t, "logs/builds"));
    auto_free struct build_info *list = NULL;
    auto_buf struct buf log = {0};
    size_t n = 0;
    assert_int_equal(0, host_build_list(t->host, &list, &n, &e));
    assert_int_equal(n, BUILDS_KEPT);
    assert_int_equal(0, host_build_log(t->host, list[0].id, &log, &e));
    assert_true(log.len <= 2 * BUILD_LOG_KEEP_BYTES + 1000);
    assert_non_null(strstr(buf_str(&log), "\nline 3\nfailed: no luck\n"));
}

/* While one runs for long, those that were cancelled before they began are not kept for ever. */
static void test_what_is_kept_of_cancelled_ones(void **state)
{
    struct test_host *t = *state;
    struct err e = ERR_INIT;
    struct build_info slow, b;
    begin(t, &(struct image_order){.name = "slow"}, &slow);
    int alive = await_slow(t);
    for (int i = 0; i < BUILDS_KEPT + 3; i++) {
        begin(t, &(struct image_order){.name = "bash"}, &b);
        assert_int_equal(0, host_build_cancel(t->host, b.id, &b, &e));
        assert_int_equal(b.state, BUILD_CANCELLED);
    }
    auto_free struct build_info *list = NULL;
    size_t n = 0;
    assert_int_equal(0, host_build_list(t->host, &list, &n, &e));
    assert_int_equal(n, BUILDS_KEPT + 1);
    assert_string_equal(list[0].id, b.id);
    assert_string_equal(list[n - 1].id, slow.id);
    assert_int_equal(0, host_build_cancel(t->host, slow.id, &slow, &e));
    await_end(t, &slow);
    assert_nothing_lives(alive);
}

static int fail_oddly(struct build *b, void *arg, struct err *e)
{
    build_step(b, "unpack \xc3");
    return err_set(e, ERR_INVALID, "\"na\xff\xefme\" is refused");
}

/* What a stranger's file is called is no reason to forget what became of it. */
static void test_reasons_that_are_no_text(void **state)
{
    struct test_host *t = *state;
    struct err e = ERR_INIT;
    struct build_info b;
    const struct build_task task = {.kind = "oci", .name = "thing", .run = fail_oddly};
    assert_int_equal(0, builds_start(t->host, &task, &b, &e));
    await_end(t, &b);
    assert_string_equal(b.detail, "\"na\xff\xefme\" is refused");
    test_host_stop(t);
    test_host_start(t);
    assert_int_equal(0, host_build_get(t->host, b.id, &b, &e));
    assert_int_equal(b.state, BUILD_FAILED);
    assert_string_equal(b.detail, "\"na??me\" is refused");
    assert_string_equal(b.step, "unpack ?");
}

static void test_another_machine(void **state)
{
    struct test_host *t = *state;
    const struct image_ask of_python = ask_python(t);
    struct err e = ERR_INIT;
    struct image_template it;
    const struct machine_shape shape = {.vcpus = 2, .memory_mib = 1024};
    assert_int_equal(0, image_reshape(t->host->images, &of_python, &shape, &e));
    await_ready(t, "python");
    assert_true(image_template(t->host->images, &of_python, &it));
    assert_int_equal(it.shape.vcpus, 2);
    assert_int_equal(it.shape.memory_mib, 1024);
    /* The same again is made again, and the former one is not taken for it. */
    assert_int_equal(0, image_reshape(t->host->images, &of_python, &shape, &e));
    await_ready(t, "python");
    test_host_stop(t);
    test_host_start(t);
    assert_true(image_template(t->host->images, &of_python, &it));
    assert_int_equal(it.shape.memory_mib, 1024);
    /* One that cannot be had leaves the former, for the next daemon too. */
    const struct machine_shape huge = {.vcpus = 1, .memory_mib = 1 << 20};
    assert_int_equal(0, image_reshape(t->host->images, &of_python, &huge, &e));
    await_ready(t, "python");
    assert_true(image_template(t->host->images, &of_python, &it));
    assert_int_equal(it.shape.memory_mib, 1024);
    {
        AUTO_LOCK(&t->host->images->lock);
        t->host->images->reshape_patience_ms = 0;
    }
    const struct machine_shape all = {.vcpus = 1, .memory_mib = t->host->admission.memory_max_mib};
    char id[ID_SIZE];
    test_launch_default(t, id);
    assert_int_equal(0, image_reshape(t->host->images, &of_python, &all, &e));
    await_ready(t, "python"); /* there was no room while a VM lives */
    assert_true(image_template(t->host->images, &of_python, &it));
    assert_int_equal(it.shape.memory_mib, 1024);
    char detail[256];
    assert_int_equal(LANGUAGE_READY, image_state_of_all(t->host->images, of_python.key, detail));
    assert_non_null(strstr(detail, "former machine again"));
    assert_int_equal(0, host_vm_delete(t->host, t->account, id, &e));
    test_host_stop(t);
    test_host_start(t);
    await_ready(t, "python");
    assert_true(image_template(t->host->images, &of_python, &it));
    assert_int_equal(it.shape.vcpus, 2);
    assert_int_equal(it.shape.memory_mib, 1024);
    /* It is said until the next one is asked for. */
    assert_int_equal(0, image_reshape(t->host->images, &of_python, &shape, &e));
    await_ready(t, "python");
    image_state_of_all(t->host->images, of_python.key, detail);
    assert_string_equal(detail, "");
}

/* One of Holm's own goes, and is built again. */
static void test_an_image_is_deleted(void **state)
{
    struct test_host *t = *state;
    struct err e = ERR_INIT;
    struct build_info b;
    struct language_status st = {.state = LANGUAGE_READY};
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    test_assert_err(host_image_delete(t->host, t->account, "bash", &e), &e, ERR_CONFLICT,
                    "vms.image");
    test_assert_err(host_image_delete(t->host, "anotheranotheranothe", "python", &e), &e,
                    ERR_FORBIDDEN, "only admins");
    assert_int_equal(0, host_image_delete(t->host, t->account, "python", &e));
    while (st.state != LANGUAGE_MISSING) {
        host_language_status(t->host, host_language_find("python"), &st);
        assert_true(clock_mono_ms() < until_ms);
        poll(NULL, 0, 5);
    }
    assert_int_equal(0, test_count_entries(t, "tmp"));
    begin(t, &(struct image_order){.name = "python"}, &b);
    await_end(t, &b);
    await_ready(t, "python");
}

int main(int argc, char **argv)
{
    setenv("HOLM_ENGINE_DIR", argv[1], 1);
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, test_host_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_up_to_date_stays),
        TEST(test_an_image_is_built),
        TEST(test_a_failure_says_why),
        TEST(test_what_is_refused),
        TEST(test_one_at_a_time_and_cancelled),
        TEST(test_it_ends_with_the_daemon),
        TEST(test_after_a_kill),
        TEST(test_what_is_kept),
        TEST(test_what_is_kept_of_cancelled_ones),
        TEST(test_reasons_that_are_no_text),
        TEST(test_another_machine),
        TEST(test_an_image_is_deleted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
