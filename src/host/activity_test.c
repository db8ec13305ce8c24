/* SPDX-License-Identifier: Apache-2.0 */
#include "host/activity.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/test.h"
#include "host/host_priv.h"
#include "host/store_people.h"
#include "host/store_priv.h"
#include "host/webhooks.h"

#define PATIENCE_MS 60000
#define ANN "annannannannannannan"
#define BOB "bobbobbobbobbobbobbo"

struct world {
    char *dir;
    struct host host;
};

static void world_open(struct world *w)
{
    char path[PATH_MAX];
    path_printf(path, sizeof(path), "%s/holm.db", w->dir);
    assert_int_equal(store_open(path, &w->host.store, NULL), 0);
    assert_int_equal(activities_new(&w->host, &w->host.activities, NULL), 0);
}

static void world_close(struct world *w)
{
    activities_free(TAKE_PTR(w->host.activities));
    store_close(TAKE_PTR(w->host.store));
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    w->dir = test_dir_make();
    world_open(w);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    world_close(w);
    test_dir_drop(&w->dir);
    free(w);
    return 0;
}

static void note(struct world *w, const char *account, const char *name)
{
    const struct activity_note n = {.account = account, .type = "vm.created", .name = name};
    host_note(&w->host, &n);
}

static void note_number(struct world *w, const char *account, int number)
{
    char name[16];
    snprintf(name, sizeof(name), "%d", number);
    note(w, account, name);
}

static struct activity_feed *follow(struct world *w, const char *account, int64_t after)
{
    struct activity_feed *f = NULL;
    assert_int_equal(host_activity_follow(&w->host, account, after, &f, NULL), 0);
    return f;
}

static void expect(struct activity_feed *f, const char *name)
{
    struct activity a;
    assert_int_equal(activity_feed_next(f, PATIENCE_MS, &a, NULL), 1);
    assert_string_equal(a.name, name);
    activity_done(&a);
}

static void expect_nothing(struct activity_feed *f)
{
    struct activity a;
    assert_int_equal(activity_feed_next(f, 0, &a, NULL), 0);
}

static void test_what_an_event_has(void **state)
{
    struct world *w = *state;
    struct activity_list l = {0};
    json_t *data = json_pack("{s:s}", "image", "bash");
    const struct activity_note all = {.account = ANN,
                                      .type = "snapshot.deleted",
                                      .entity = BOB,
                                      .name = "x",
                                      .data = data,
                                      .text = "It is gone"};
    const struct activity_note few = {.account = ANN, .type = "session.failed"};
    host_note(&w->host, &all);
    host_note(&w->host, &few);
    note(w, ANN, "one");
    assert_int_equal(host_activity_list(&w->host, ANN, 0, 10, &l, NULL), 0);
    assert_int_equal(l.n, 3);
    const struct activity *a = &l.items[2];
    assert_string_equal(a->account, ANN);
    assert_string_equal(a->type, "snapshot.deleted");
    assert_string_equal(a->entity, BOB);
    assert_string_equal(a->name, "x");
    assert_string_equal(a->text, "It is gone");
    assert_true(json_equal(a->data, data));
    assert_true(a->id > 0 && a->at_ns > 0);
    assert_string_equal(l.items[1].entity, "");
    assert_string_equal(l.items[1].name, "");
    assert_int_equal(json_object_size(l.items[1].data), 0);
    assert_string_equal(l.items[0].text, "VM one was created");
    assert_true(l.items[0].id > l.items[1].id && l.items[1].id > a->id);
    activity_list_done(&l);
    json_decref(data);
}

static void test_types(void **state)
{
    const char *type;
    size_t n = 0;
    for (; (type = host_activity_type(n)); n++)
        assert_true(activity_type_known(type) && activity_type_told(type) &&
                    strlen(type) < ACTIVITY_TYPE_SIZE);
    assert_true(n > 20);
    assert_true(activity_type_known("webhook.failed"));
    assert_false(activity_type_told("webhook.failed"));
    assert_false(activity_type_known("vm.exploded"));
}

static void test_pages_and_accounts(void **state)
{
    struct world *w = *state;
    struct activity_list l = {0};
    for (int i = 0; i < 10; i++)
        note_number(w, i % 2 ? ANN : BOB, i);
    assert_int_equal(host_activity_list(&w->host, NULL, 0, 4, &l, NULL), 0);
    assert_int_equal(l.n, 4);
    assert_string_equal(l.items[0].name, "9");
    assert_string_equal(l.items[3].name, "6");
    int64_t before = l.items[3].id;
    activity_list_done(&l);
    assert_int_equal(host_activity_list(&w->host, ANN, before, 10, &l, NULL), 0);
    assert_int_equal(l.n, 3);
    assert_string_equal(l.items[0].name, "5");
    assert_string_equal(l.items[2].name, "1");
    activity_list_done(&l);
    assert_int_equal(host_activity_list(&w->host, "nobody", 0, 10, &l, NULL), 0);
    assert_int_equal(l.n, 0);
    activity_list_done(&l);
}

static void test_following(void **state)
{
    struct world *w = *state;
    note(w, ANN, "before");
    struct activity_feed *all = follow(w, NULL, -1), *ann = follow(w, ANN, -1);
    struct activity_feed *past = follow(w, ANN, 0);
    expect(past, "before");
    expect_nothing(past);
    expect_nothing(all);
    note(w, BOB, "bob's");
    note(w, ANN, "ann's");
    expect(all, "bob's");
    expect(all, "ann's");
    expect(ann, "ann's");
    expect(past, "ann's");
    activities_newest(w->host.activities);
    expect_nothing(all);
    expect_nothing(ann);
    note(w, BOB, "again");
    activities_newest(w->host.activities);
    expect_nothing(ann);
    activity_feed_close(all);
    activity_feed_close(ann);
    activity_feed_close(past);
}

static void test_the_next_daemon_goes_on(void **state)
{
    struct world *w = *state;
    struct activity a;
    note(w, ANN, "one");
    struct activity_feed *f = follow(w, ANN, 0);
    assert_int_equal(activity_feed_next(f, PATIENCE_MS, &a, NULL), 1);
    int64_t last = a.id;
    activity_done(&a);
    activity_feed_close(f);
    note(w, ANN, "two"); /* what was noted is written before the end */
    world_close(w);
    world_open(w);
    note(w, ANN, "three");
    f = follow(w, ANN, last);
    expect(f, "two");
    expect(f, "three");
    activity_feed_close(f);
    /* A number from elsewhere. */
    f = follow(w, ANN, INT64_MAX);
    note(w, ANN, "four");
    expect(f, "four");
    activity_feed_close(f);
}

#define WRITERS 4
#define EACH 500
#define FOLLOWERS 6

struct party {
    struct world *w;
    int number;
    struct activity_feed *feed;
    bool in_order, complete;
};

static void *write_many(void *arg)
{
    struct party *p = arg;
    for (int i = 0; i < EACH; i++)
        note_number(p->w, p->number % 2 ? ANN : BOB, p->number * EACH + i);
    return NULL;
}

/* Every writer's in its order, none twice, none missing. */
static void *read_many(void *arg)
{
    struct party *p = arg;
    int next[WRITERS] = {0}, n = 0;
    int64_t last = 0;
    p->in_order = true;
    for (struct activity a; n < WRITERS * EACH; n++) {
        if (activity_feed_next(p->feed, PATIENCE_MS, &a, NULL) != 1)
            break;
        int number = atoi(a.name), writer = number / EACH;
        p->in_order &= a.id > last && number % EACH == next[writer]++;
        last = a.id;
        activity_done(&a);
    }
    p->complete = n == WRITERS * EACH;
    return NULL;
}

static void test_many_at_the_same_time(void **state)
{
    pthread_t threads[WRITERS + FOLLOWERS];
    struct party parties[WRITERS + FOLLOWERS] = {0};
    for (int i = 0; i < WRITERS + FOLLOWERS; i++) {
        bool writes = i >= FOLLOWERS;
        parties[i] = (struct party){.w = *state, .number = i - FOLLOWERS};
        if (!writes)
            parties[i].feed = follow(*state, NULL, i % 2 ? -1 : 0);
        assert_int_equal(
            pthread_create(&threads[i], NULL, writes ? write_many : read_many, &parties[i]), 0);
    }
    for (int i = 0; i < WRITERS + FOLLOWERS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < FOLLOWERS; i++) {
        assert_true(parties[i].in_order);
        assert_true(parties[i].complete);
        expect_nothing(parties[i].feed);
        activity_feed_close(parties[i].feed);
    }
}

static size_t count(struct world *w, const char *account)
{
    char sql[128];
    sqlite3_stmt *st;
    activities_newest(w->host.activities);
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM activity WHERE account = '%s'", account);
    AUTO_LOCK(&w->host.store->lock);
    assert_int_equal(sqlite3_prepare_v2(w->host.store->db, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    size_t n = (size_t)sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return n;
}

static void test_old_ones_go(void **state)
{
    struct world *w = *state;
    struct activity_list l = {0};
    const int more = 3 * ACTIVITY_TRIM_EVERY;
    note(w, BOB, "bob's");
    for (int i = 0; i < ACTIVITY_KEEP + more; i++)
        note_number(w, ANN, i);
    world_close(w); /* so that the last look is over */
    world_open(w);
    size_t n = count(w, ANN);
    assert_true(n >= ACTIVITY_KEEP && n < ACTIVITY_KEEP + 2 * ACTIVITY_TRIM_EVERY);
    assert_int_equal(count(w, BOB), 1);
    /* The first event of an account after a start has a look too. */
    note(w, ANN, "last");
    world_close(w);
    world_open(w);
    assert_int_equal(count(w, ANN), ACTIVITY_KEEP);
    assert_int_equal(host_activity_list(&w->host, ANN, 0, 1, &l, NULL), 0);
    assert_string_equal(l.items[0].name, "last");
    activity_list_done(&l);
}

static void *wait_for_end(void *arg)
{
    struct activity a;
    struct err e = ERR_INIT;
    return (void *)(intptr_t)activity_feed_next(arg, PATIENCE_MS, &a, &e);
}

static void test_the_end(void **state)
{
    struct world *w = *state;
    struct activity_feed *stopped = follow(w, NULL, -1), *left = follow(w, NULL, -1);
    pthread_t threads[2];
    void *ret;
    assert_int_equal(pthread_create(&threads[0], NULL, wait_for_end, stopped), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, wait_for_end, left), 0);
    activity_feed_stop(stopped);
    pthread_join(threads[0], &ret);
    assert_int_equal((intptr_t)ret, -ECANCELED);
    activities_stop(w->host.activities);
    pthread_join(threads[1], &ret);
    assert_int_equal((intptr_t)ret, -ECANCELED);
    activity_feed_close(stopped);
    activity_feed_close(left);
}

static void test_not_everybody_follows(void **state)
{
    struct world *w = *state;
    struct activity_feed *feeds[ACTIVITY_FOLLOWERS_MAX], *more = NULL;
    struct err e = ERR_INIT;
    for (size_t i = 0; i < ARRAY_SIZE(feeds); i++)
        feeds[i] = follow(w, NULL, -1);
    assert_true(host_activity_follow(&w->host, NULL, -1, &more, &e) < 0);
    assert_int_equal(e.class, ERR_FULL);
    assert_true(e.retry_after_s > 0);
    activity_feed_close(feeds[0]);
    feeds[0] = follow(w, NULL, -1);
    for (size_t i = 0; i < ARRAY_SIZE(feeds); i++)
        activity_feed_close(feeds[i]);
}

/* A store that does not write loses events, and holds up nobody. */
static void test_store_fails(void **state)
{
    struct world *w = *state;
    struct activity_feed *f = follow(w, NULL, -1);
    {
        AUTO_LOCK(&w->host.store->lock);
        sqlite3_exec(w->host.store->db, "PRAGMA query_only = ON", NULL, NULL, NULL);
    }
    for (int i = 0; i < 2 * ACTIVITY_QUEUE_MAX; i++)
        note(w, ANN, "lost");
    activities_newest(w->host.activities);
    {
        AUTO_LOCK(&w->host.store->lock);
        sqlite3_exec(w->host.store->db, "PRAGMA query_only = OFF", NULL, NULL, NULL);
    }
    note(w, ANN, "written");
    expect(f, "written");
    activity_feed_close(f);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_an_event_has),
        TEST(test_types),
        TEST(test_pages_and_accounts),
        TEST(test_following),
        TEST(test_the_next_daemon_goes_on),
        TEST(test_many_at_the_same_time),
        TEST(test_old_ones_go),
        TEST(test_the_end),
        TEST(test_not_everybody_follows),
        TEST(test_store_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
