/* SPDX-License-Identifier: Apache-2.0 */

/* Templates of machine shapes on the fake engine: which are made, which are kept. */

#include "host/test_host.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/limits.h"
#include "host/host_priv.h"
#include "host/image_priv.h"

static int count_templates(struct test_host *t)
{
    char path[256];
    int n = 0;
    snprintf(path, sizeof(path), "%s/templates", t->dir);
    auto_closedir DIR *d = opendir(path);
    for (struct dirent *de; (de = readdir(d));)
        n += strchr(de->d_name, '@') != NULL;
    return n;
}

static void launch_shape(struct test_host *t, int vcpus, int memory_mib, const char *type)
{
    struct vm_launch rq = {.image = "bash", .shape = {vcpus, memory_mib}};
    struct vm_info v;
    struct err e = ERR_INIT;
    test_launch(t, &rq, &v);
    assert_string_equal(type, v.machine_type);
    assert_int_equal(memory_mib, v.shape.memory_mib);
    assert_int_equal(0, host_vm_delete(t->host, t->account, v.id, &e));
    vm_info_done(&v);
}

static void test_odd_shapes(void **state)
{
    struct test_host *t = *state;
    struct err e = ERR_INIT;
    launch_shape(t, 1, 128, "c1m0.125");
    launch_shape(t, 3, 1000, "c3m0.9765625");
    launch_shape(t, 1, 256, "c1m0.25");
    launch_shape(t, 2, 4096, "c2m4");
    struct vm_launch rq = {.account = t->account, .shape = {65, 128}};
    test_assert_err(host_vm_launch(t->host, &rq, NULL, &e), &e, ERR_INVALID, "vCPUs");
    rq.shape = (struct machine_shape){1, 1};
    test_assert_err(host_vm_launch(t->host, &rq, NULL, &e), &e, ERR_INVALID, "memory");
}

static int setup_few(void **state)
{
    static const char *const settings[] = {"vms.templates_max=2", NULL};
    return test_host_setup_with(state, settings);
}

static void await_templates(struct test_host *t, int n)
{
    while (count_templates(t) != n) /* the preparer drops the oldest after it has answered */
        poll(NULL, 0, 2);
}

static void test_templates_are_bounded(void **state)
{
    struct test_host *t = *state;
    char path[256];
    for (int mib = 128; mib < 134; mib++) {
        char type[32];
        snprintf(type, sizeof(type), "c1m%.15g", mib / 1024.0);
        launch_shape(t, 1, mib, type);
        launch_shape(t, 1, 128, "c1m0.125"); /* often used: it stays */
    }
    await_templates(t, 2);
    snprintf(path, sizeof(path), "%s/templates/bash@1x128.json", t->dir);
    assert_int_equal(0, access(path, F_OK));
    test_host_stop(t);
    test_host_start(t);
    launch_shape(t, 1, 128, "c1m0.125");
    await_templates(t, 2);
}

static int setup_small(void **state)
{
    static const char *const settings[] = {"vms.templates_gib=1", NULL};
    return test_host_setup_with(state, settings);
}

/* As if each had that much on the disk. */
static void inflate(struct test_host *t)
{
    struct image_set *s = t->host->images;
    AUTO_LOCK(&s->lock);
    for (int i = 0; i < s->n_images; i++) {
        assert_true(s->images[i]->template_bytes > 0 || s->images[i]->state != LANGUAGE_READY);
        if (s->images[i]->template_bytes)
            s->images[i]->template_bytes = (int64_t)(600 * MIB);
    }
    images_make_room(s);
    images_sweep(s);
}

static bool has_template(struct test_host *t, const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/templates/%s.json", t->dir, name);
    return access(path, F_OK) == 0;
}

static void test_their_bytes_are_bounded(void **state)
{
    struct test_host *t = *state;
    launch_shape(t, 1, 128, "c1m0.125");
    launch_shape(t, 1, 129, "c1m0.1259765625");
    launch_shape(t, 1, 128, "c1m0.125");
    assert_true(has_template(t, "bash@1x128"));
    assert_true(has_template(t, "bash@1x129"));
    inflate(t);
    assert_true(has_template(t, "bash@1x128"));
    assert_false(has_template(t, "bash@1x129"));
    assert_true(has_template(t, "bash.bash")); /* a language's, which does not count */
}

/* --- shapes that wait --- */

static int count_shapes(struct test_host *t)
{
    struct image_set *s = t->host->images;
    int n = 0;
    AUTO_LOCK(&s->lock);
    for (int i = 0; i < s->n_images; i++)
        n += !s->images[i]->gone && strchr(s->images[i]->name, '@') != NULL;
    return n;
}

static void launch_waiting(struct test_host *t, const char *account, int mib, char ret[ID_SIZE])
{
    struct vm_launch rq = {.account = account, .image = "bash", .shape = {1, mib}};
    struct vm_info v;
    struct err e = ERR_INIT;
    if (host_vm_launch(t->host, &rq, &v, &e) < 0)
        fail_msg("launch: %s", e.text);
    assert_int_equal(VM_STARTING, v.state);
    memcpy(ret, v.id, ID_SIZE);
    vm_info_done(&v);
}

static void await_shapes(struct test_host *t, int n)
{
    while (count_shapes(t) != n)
        poll(NULL, 0, 2);
}

/* While nothing is prepared: one account does not keep others from it, nor those that it has given
 * up from what it asks for later. */
static void test_shapes_that_wait_are_bounded(void **state)
{
    struct test_host *t = *state;
    struct image_set *s = t->host->images;
    struct account_info other;
    struct err e = ERR_INIT;
    char ids[12][ID_SIZE], id[ID_SIZE];
    int before = count_shapes(t);
    image_set_stop(s);
    assert_int_equal(0, host_account_create(t->host, "other", NULL, &other, &e));
    for (int i = 0; i < 12; i++)
        launch_waiting(t, t->account, 128 + i, ids[i]);
    assert_int_equal(before + IMAGE_SHAPES_WAITING_MAX, count_shapes(t));
    launch_waiting(t, other.id, 200, id);
    assert_int_equal(before + IMAGE_SHAPES_WAITING_MAX + 1, count_shapes(t));
    for (int i = 0; i < 11; i++)
        assert_int_equal(0, host_vm_delete(t->host, t->account, ids[i], &e));
    {
        AUTO_LOCK(&s->lock);
        s->patience_ms = 1000;
    }
    await_shapes(t, before + 2); /* what still waits goes on asking */
    s->stopping = false;
    assert_int_equal(0, image_set_start(s, &e));
    test_await_state(t, ids[11], VM_RUNNING);
    char path[256];
    snprintf(path, sizeof(path), "%s/templates/bash@1x200.json", t->dir);
    while (access(path, F_OK) <
           0) /* the other account's VM is not to be seen with this one's eyes */
        poll(NULL, 0, 2);
    assert_int_equal(before + 2, count_shapes(t));
}

/* What everybody needs is prepared before what a launch has asked for earlier. */
static void test_languages_come_first(void **state)
{
    struct test_host *t = *state;
    struct image_set *s = t->host->images;
    char id[ID_SIZE];
    int64_t next_ms;
    image_set_stop(s);
    launch_waiting(t, t->account, 128, id);
    const struct image_ask perl = image_of_language(host_language_find("perl"));
    image_distrust(s, &perl, "a test");
    AUTO_LOCK(&s->lock);
    struct image *im = images_next_due(s, &next_ms);
    assert_non_null(im);
    assert_string_equal("perl.perl", im->name);
    im->taken = true;
    assert_string_equal("bash@1x128", images_next_due(s, &next_ms)->name);
    im->taken = false;
}

/* One that comes while its namesake is still being removed is prepared after that. */
static void test_a_removal_comes_before_its_successor(void **state)
{
    struct test_host *t = *state;
    struct image_set *s = t->host->images;
    const struct image_ask ask = {"bash", &(struct machine_shape){1, 128}, t->account};
    struct image_use use;
    struct err e = ERR_INIT;
    int64_t next_ms;
    launch_shape(t, 1, 128, "c1m0.125");
    image_set_stop(s);
    assert_int_equal(0, image_ready(s, &ask, &use, &e));
    image_forget(s, "bash");
    assert_int_equal(0, access(use.template_dir, F_OK)); /* it is held */
    assert_int_equal(-EINPROGRESS, image_ready(s, &ask, &(struct image_use){0}, &e));
    {
        AUTO_LOCK(&s->lock);
        use.image->leaving = true;
        assert_null(images_next_due(s, &next_ms));
        use.image->leaving = false;
    }
    char dir[sizeof(use.template_dir)];
    memcpy(dir, use.template_dir, sizeof(dir));
    image_release(s, &use);
    {
        AUTO_LOCK(&s->lock);
        images_sweep(s);
        assert_string_equal("bash@1x128", images_next_due(s, &next_ms)->name);
    }
    assert_int_equal(-1, access(dir, F_OK));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, test_host_setup, test_host_teardown)

int main(int argc, char **argv)
{
    if (argc > 1)
        setenv("HOLM_ENGINE_DIR", argv[1], 1);
    const struct CMUnitTest tests[] = {
        TEST(test_odd_shapes),
        cmocka_unit_test_setup_teardown(test_templates_are_bounded, setup_few, test_host_teardown),
        cmocka_unit_test_setup_teardown(test_their_bytes_are_bounded, setup_small,
                                        test_host_teardown),
        TEST(test_shapes_that_wait_are_bounded),
        TEST(test_languages_come_first),
        TEST(test_a_removal_comes_before_its_successor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
