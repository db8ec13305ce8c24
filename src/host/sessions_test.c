/* SPDX-License-Identifier: Apache-2.0 */
#include "host/sessions.h"

#include <errno.h>
#include <pthread.h>

#include "base/limits.h"
#include "base/test.h"
#include "host/accounts.h"
#include "host/host_priv.h"
#include "host/login_limit.h"
#include "host/store_people.h"

#define S INT64_C(1000000000)
#define HOUR (3600 * S)
#define DAY (24 * HOUR)

/* The clocks are the tests' (--wrap). */
static int64_t the_time = 1700000000 * S;

int64_t __wrap_clock_real_ns(void);
int64_t __wrap_clock_real_ns(void)
{
    return the_time;
}

int64_t __wrap_clock_mono_ms(void);
int64_t __wrap_clock_mono_ms(void)
{
    return the_time / 1000000;
}

struct world {
    char *dir;
    struct config config;
    struct host host;
};

static int open_world(struct world *w, struct err *e)
{
    char path[PATH_MAX];
    const struct quota none = {0};
    path_printf(path, sizeof(path), "%s/holm.db", w->dir);
    w->host.config = &w->config;
    assert_int_equal(store_open(path, &w->host.store, NULL), 0);
    assert_int_equal(accounts_new(w->host.store, w->dir, &none, &w->host.accounts, NULL), 0);
    return sessions_new(&w->host, &w->host.sessions, e);
}

static void close_world(struct world *w)
{
    sessions_free(TAKE_PTR(w->host.sessions));
    accounts_free(TAKE_PTR(w->host.accounts));
    store_close(TAKE_PTR(w->host.store));
}

static void again(struct world *w, const char *email, const char *password)
{
    close_world(w);
    strcpy(w->config.admin_email, email);
    strcpy(w->config.admin_password, password);
    assert_int_equal(open_world(w, NULL), 0);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    w->dir = test_dir_make();
    strcpy(w->config.admin_email, "admin@example.org");
    strcpy(w->config.admin_password, "swordfish");
    assert_int_equal(open_world(w, NULL), 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    close_world(w);
    test_dir_drop(&w->dir);
    free(w);
    return 0;
}

static int sign_in(struct world *w, const char *email, const char *password, char *ret_token,
                   struct err *e)
{
    struct session_info s;
    const struct login l = {.email = email, .password = password, .peer = "192.0.2.1"};
    return host_login(&w->host, &l, ret_token, &s, e);
}

static int sign_in_key(struct world *w, const char *key, char *ret_token, struct err *e)
{
    struct session_info s;
    const struct login l = {.key = key, .peer = "192.0.2.1"};
    return host_login_key(&w->host, &l, ret_token, &s, e);
}

static void admin_sign_in(struct world *w, char ret_token[SESSION_TOKEN_SIZE])
{
    assert_int_equal(sign_in(w, "admin@example.org", "swordfish", ret_token, NULL), 0);
}

static bool is_over(struct world *w, const char *token)
{
    struct session_info s;
    struct err e = ERR_INIT;
    int r = host_session(&w->host, token, &s, &e);
    assert_true(r == 0 || (r == -EACCES && e.class == ERR_UNAUTHORIZED));
    return r < 0;
}

static void test_password(void **state)
{
    struct world *w = *state;
    char token[SESSION_TOKEN_SIZE] = "", admin[ID_SIZE];
    struct session_info s;
    struct err e = ERR_INIT;
    static const char *const wrong[][2] = {
        {"admin@example.org", "swordfisH"},  {"admin@example.org", ""},
        {"admin@example.org", "swordfish "}, {"", "swordfish"},
        {"admin@example.or", "swordfish"},   {"", ""},
    };
    assert_true(host_has_password(&w->host));
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        assert_int_equal(sign_in(w, wrong[i][0], wrong[i][1], token, &e), -EACCES);
        assert_int_equal(e.class, ERR_UNAUTHORIZED);
        assert_string_equal(e.text, "Invalid credentials");
        assert_string_equal(token, "");
    }
    assert_int_equal(sign_in(w, "Admin@Example.org", "swordfish", token, &e), 0);
    assert_int_equal(strlen(token), SESSION_TOKEN_SIZE - 1);
    assert_int_equal(host_session(&w->host, token, &s, NULL), 0);
    accounts_first_admin(w->host.accounts, admin);
    assert_string_equal(s.account, admin);
    assert_true(s.admin);
    assert_string_equal(s.email, "admin@example.org");
    assert_true(is_over(w, ""));
    assert_true(is_over(w, "x"));
    token[3] ^= 1;
    assert_true(is_over(w, token));
}

/* Neither password nor token is on the disk. */
static void test_nothing_is_stored_plainly(void **state)
{
    struct world *w = *state;
    char token[SESSION_TOKEN_SIZE], path[PATH_MAX];
    admin_sign_in(w, token);
    static const char *const files[] = {"holm.db", "holm.db-wal"};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        auto_buf struct buf b = {0};
        path_printf(path, sizeof(path), "%s/%s", w->dir, files[i]);
        assert_int_equal(file_read(path, &b, 64 << 20), 0);
        assert_null(memmem(b.data, b.len, "swordfish", 9));
        assert_null(memmem(b.data, b.len, token, strlen(token)));
        if (i == 1)
            assert_non_null(memmem(b.data, b.len, "$argon2id$", 10));
    }
}

static void test_sessions_survive_until_the_password_changes(void **state)
{
    struct world *w = *state;
    char token[SESSION_TOKEN_SIZE], key_token[SESSION_TOKEN_SIZE], key[KEY_SIZE], admin[ID_SIZE];
    struct err e = ERR_INIT;
    accounts_first_admin(w->host.accounts, admin);
    assert_int_equal(
        host_key_create(&w->host, &(struct key_wish){.account = admin}, NULL, key, NULL), 0);
    assert_int_equal(sign_in_key(w, key, key_token, NULL), 0);
    admin_sign_in(w, token);
    again(w, "admin@example.org", "swordfish");
    assert_false(is_over(w, token));
    again(w, "admin@example.org", ""); /* the stored one stays */
    assert_false(is_over(w, token));
    assert_int_equal(sign_in(w, "admin@example.org", "swordfish", token, NULL), 0);
    again(w, "admin@example.org", "another");
    assert_true(is_over(w, token));
    assert_false(is_over(w, key_token));
    assert_int_equal(sign_in(w, "admin@example.org", "swordfish", token, &e), -EACCES);
    assert_int_equal(sign_in(w, "admin@example.org", "another", token, NULL), 0);
    again(w, "", "");
    assert_true(is_over(w, token));
    assert_false(host_has_password(&w->host));
    assert_int_equal(sign_in(w, "", "", token, &e), -EACCES);
    assert_int_equal(sign_in(w, "admin@example.org", "another", token, &e), -EACCES);
    assert_false(is_over(w, key_token));
}

static void test_half_a_configuration(void **state)
{
    struct world *w = *state;
    struct err e = ERR_INIT;
    again(w, "", "");
    close_world(w);
    strcpy(w->config.admin_email, "a@b");
    assert_int_equal(open_world(w, &e), -EINVAL);
    assert_string_equal(e.field, "password");
    close_world(w);
    w->config.admin_email[0] = '\0';
    strcpy(w->config.admin_password, "x");
    assert_int_equal(open_world(w, &e), -EINVAL);
    assert_string_equal(e.field, "email");
    close_world(w);
    w->config.admin_password[0] = '\0';
    assert_int_equal(open_world(w, NULL), 0);
}

static void test_logout(void **state)
{
    struct world *w = *state;
    char a[SESSION_TOKEN_SIZE], b[SESSION_TOKEN_SIZE];
    admin_sign_in(w, a);
    admin_sign_in(w, b);
    assert_string_not_equal(a, b);
    assert_int_equal(host_logout(&w->host, a, NULL), 0);
    assert_int_equal(host_logout(&w->host, a, NULL), 0);
    assert_int_equal(host_logout(&w->host, "nonsense", NULL), 0);
    assert_true(is_over(w, a));
    assert_false(is_over(w, b));
    again(w, "admin@example.org", "swordfish");
    assert_true(is_over(w, a));
    assert_false(is_over(w, b));
}

static void test_a_session_lasts_from_its_last_use(void **state)
{
    struct world *w = *state;
    char token[SESSION_TOKEN_SIZE];
    admin_sign_in(w, token);
    for (int i = 0; i < 5; i++) {
        the_time += (SESSION_DAYS - 1) * DAY;
        assert_false(is_over(w, token));
    }
    again(w, "admin@example.org", "swordfish");
    the_time += SESSION_DAYS * DAY - S;
    assert_false(is_over(w, token));
    the_time += SESSION_DAYS * DAY;
    assert_true(is_over(w, token));
    the_time -= SESSION_DAYS * DAY; /* what is over is gone */
    assert_true(is_over(w, token));
    again(w, "admin@example.org", "swordfish");
    assert_true(is_over(w, token));
}

static void test_a_session_ends_with_its_key(void **state)
{
    struct world *w = *state;
    char token[SESSION_TOKEN_SIZE], short_token[SESSION_TOKEN_SIZE], key[KEY_SIZE];
    struct account_info ann;
    struct session_info s;
    struct key_info k;
    struct err e = ERR_INIT;
    assert_int_equal(host_account_create(&w->host, "ann", NULL, &ann, NULL), 0);
    struct key_wish wish = {.account = ann.id};
    assert_int_equal(host_key_create(&w->host, &wish, &k, key, NULL), 0);
    assert_int_equal(sign_in_key(w, key, token, NULL), 0);
    assert_int_equal(host_session(&w->host, token, &s, NULL), 0);
    assert_string_equal(s.account, ann.id);
    assert_false(s.admin);
    assert_string_equal(s.email, "");
    assert_int_equal(sign_in_key(w, "holm_nonsense", token, &e), -EACCES);
    assert_string_equal(e.text, "Invalid credentials");

    wish.expires_ns = the_time + HOUR;
    assert_int_equal(host_key_create(&w->host, &wish, NULL, key, NULL), 0);
    assert_int_equal(sign_in_key(w, key, short_token, NULL), 0);
    the_time += HOUR;
    assert_true(is_over(w, short_token));
    assert_false(is_over(w, token));
    assert_int_equal(host_key_revoke(&w->host, ann.id, k.id, NULL), 0);
    assert_true(is_over(w, token));
    assert_int_equal(sign_in_key(w, key, token, &e), -EACCES);
}

static void test_a_session_ends_with_its_account(void **state)
{
    struct world *w = *state;
    char token[SESSION_TOKEN_SIZE], key[KEY_SIZE];
    struct account_info ann;
    assert_int_equal(host_account_create(&w->host, "ann", NULL, &ann, NULL), 0);
    assert_int_equal(
        host_key_create(&w->host, &(struct key_wish){.account = ann.id}, NULL, key, NULL), 0);
    assert_int_equal(sign_in_key(w, key, token, NULL), 0);
    assert_int_equal(host_account_delete(&w->host, ann.id, NULL), 0);
    assert_true(is_over(w, token));
}

static void account_key(struct world *w, const char *account, char ret[KEY_SIZE])
{
    const struct key_wish wish = {.account = account};
    assert_int_equal(host_key_create(&w->host, &wish, NULL, ret, NULL), 0);
}

static void sign_in_often(struct world *w, const char *key, int times)
{
    char token[SESSION_TOKEN_SIZE];
    for (int i = 0; i < times; i++) {
        the_time += S;
        assert_int_equal(sign_in_key(w, key, token, NULL), 0);
        assert_false(is_over(w, token));
    }
}

static void test_the_oldest_session_of_an_account_makes_room(void **state)
{
    struct world *w = *state;
    char first[SESSION_TOKEN_SIZE], second[SESSION_TOKEN_SIZE], admins[SESSION_TOKEN_SIZE];
    char key[KEY_SIZE];
    struct account_info ann;
    admin_sign_in(w, admins);
    assert_int_equal(host_account_create(&w->host, "ann", NULL, &ann, NULL), 0);
    account_key(w, ann.id, key);
    assert_int_equal(sign_in_key(w, key, first, NULL), 0);
    the_time += S;
    assert_int_equal(sign_in_key(w, key, second, NULL), 0);
    sign_in_often(w, key, SESSIONS_ACCOUNT_MAX - 1);
    assert_true(is_over(w, first));
    assert_false(is_over(w, second));
    sign_in_often(w, key, SESSIONS_ACCOUNT_MAX);
    assert_true(is_over(w, second));
    assert_false(is_over(w, admins)); /* the oldest of all, and somebody else's */
}

static void test_the_oldest_session_of_all_makes_room(void **state)
{
    struct world *w = *state;
    char first[SESSION_TOKEN_SIZE], second[SESSION_TOKEN_SIZE];
    char key[KEY_SIZE];
    admin_sign_in(w, first);
    the_time += S;
    admin_sign_in(w, second);
    for (int n = SESSIONS_MAX - 1; n > 0; n -= SESSIONS_ACCOUNT_MAX) {
        struct account_info a;
        assert_int_equal(host_account_create(&w->host, "one more", NULL, &a, NULL), 0);
        account_key(w, a.id, key);
        sign_in_often(w, key, n < SESSIONS_ACCOUNT_MAX ? n : SESSIONS_ACCOUNT_MAX);
    }
    assert_true(is_over(w, first));
    assert_false(is_over(w, second));
    again(w, "admin@example.org", "swordfish");
    assert_true(is_over(w, first));
    assert_false(is_over(w, second));
}

/* --- how often --- */

static void test_attempts_are_limited(void **state)
{
    struct world *w = *state;
    char token[SESSION_TOKEN_SIZE];
    struct err e = ERR_INIT;
    for (int i = 0; i < LOGIN_ATTEMPTS_MAX; i++) {
        /* Those that are right do not count. */
        if (i < 2)
            admin_sign_in(w, token);
        assert_int_equal(sign_in_key(w, "wrong", token, &e), -EACCES);
    }
    /* From now on right or wrong is no question. */
    assert_true(sign_in(w, "admin@example.org", "swordfish", token, &e) < 0);
    assert_int_equal(e.class, ERR_RATE);
    assert_int_equal(e.retry_after_s, LOGIN_WINDOW_S);
    the_time += 100 * S;
    assert_true(sign_in_key(w, "wrong", token, &e) < 0);
    assert_int_equal(e.class, ERR_RATE);
    assert_int_equal(e.retry_after_s, LOGIN_WINDOW_S - 100);
    the_time += (LOGIN_WINDOW_S - 100) * S;
    admin_sign_in(w, token);
}

static void test_limit_of_all_peers(void **state)
{
    struct login_limit l;
    struct err e = ERR_INIT;
    char peer[64];
    int64_t now = 1000;
    login_limit_init(&l);
    for (int i = 0; i < LOGIN_ATTEMPTS_ALL_MAX; i++) {
        snprintf(peer, sizeof(peer), "198.51.100.%d", i);
        assert_int_equal(login_limit_enter(&l, peer, now, &e), 0);
    }
    assert_true(login_limit_enter(&l, "203.0.113.1", now, &e) < 0);
    assert_int_equal(e.class, ERR_RATE);
    login_limit_forgive(&l, "198.51.100.3");
    assert_int_equal(login_limit_enter(&l, "203.0.113.1", now, &e), 0);
    assert_int_equal(login_limit_enter(&l, "203.0.113.2", now + LOGIN_WINDOW_S * 1000, &e), 0);
    login_limit_done(&l);
}

static void test_limit_of_ipv6_networks(void **state)
{
    struct login_limit l;
    char peer[64];
    login_limit_init(&l);
    for (int i = 0; i < LOGIN_ATTEMPTS_MAX; i++) {
        snprintf(peer, sizeof(peer), "2001:db8::%x:1", i + 1);
        assert_int_equal(login_limit_enter(&l, peer, 1, NULL), 0);
    }
    assert_true(login_limit_enter(&l, "2001:db8::ffff", 1, NULL) < 0);
    assert_int_equal(login_limit_enter(&l, "2001:db8:0:1::1", 1, NULL), 0);
    /* Of IPv4 it is the address, however it is written. */
    assert_int_equal(login_limit_enter(&l, "::ffff:192.0.2.1", 1, NULL), 0);
    login_limit_done(&l);
}

static void test_limit_forgets_peers(void **state)
{
    struct login_limit l;
    char peer[64];
    login_limit_init(&l);
    for (int i = 0; i < LOGIN_PEERS_MAX + 10; i++) {
        snprintf(peer, sizeof(peer), "10.0.%d.%d", i / 256, i % 256);
        int64_t now = 1 + (int64_t)(i / LOGIN_ATTEMPTS_ALL_MAX) * LOGIN_WINDOW_S * 1000;
        assert_int_equal(login_limit_enter(&l, peer, now, NULL), 0);
    }
    assert_true(l.n_peers <= LOGIN_ATTEMPTS_ALL_MAX + 1);
    login_limit_done(&l);
}

/* Many at the same time are no way around the limit. */
static void *try_wrong(void *arg)
{
    char token[SESSION_TOKEN_SIZE];
    struct err e = ERR_INIT;
    int r = sign_in(arg, "admin@example.org", "wrong", token, &e);
    return (void *)(intptr_t)(r < 0 && e.class == ERR_RATE);
}

static void test_attempts_at_the_same_time(void **state)
{
    pthread_t threads[LOGIN_ATTEMPTS_MAX + 4];
    int limited = 0;
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, try_wrong, *state), 0);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
        void *ret;
        pthread_join(threads[i], &ret);
        limited += ret != NULL;
    }
    assert_int_equal(limited, 4);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_password),
        TEST(test_nothing_is_stored_plainly),
        TEST(test_sessions_survive_until_the_password_changes),
        TEST(test_half_a_configuration),
        TEST(test_logout),
        TEST(test_a_session_lasts_from_its_last_use),
        TEST(test_a_session_ends_with_its_key),
        TEST(test_a_session_ends_with_its_account),
        TEST(test_the_oldest_session_of_an_account_makes_room),
        TEST(test_the_oldest_session_of_all_makes_room),
        TEST(test_attempts_are_limited),
        cmocka_unit_test(test_limit_of_all_peers),
        cmocka_unit_test(test_limit_of_ipv6_networks),
        cmocka_unit_test(test_limit_forgets_peers),
        TEST(test_attempts_at_the_same_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
