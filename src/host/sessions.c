/* SPDX-License-Identifier: Apache-2.0 */

/* Signing in. Sessions are few and asked about at every request of the dashboard: all are in
 * memory, and found by the hash of their token. What a session depends on - its account, its key -
 * is looked at each time it is used, so whoever takes these away need not know of sessions. */

#include "host/sessions.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/activity.h"
#include "host/host_priv.h"
#include "host/login_limit.h"
#include "host/store_people.h"

#define TOKEN_BYTES 32
#define LIFE_NS (SESSION_DAYS * INT64_C(86400) * 1000000000)
#define NOTE_NS (INT64_C(3600) * 1000000000) /* the last use is noted so exactly */

_Static_assert(SESSION_HASH_BYTES == crypto_hash_sha256_BYTES, "a hash fits");
_Static_assert(sizeof(((struct admin_record *)0)->hash) >= crypto_pwhash_STRBYTES, "a hash fits");
_Static_assert(SESSION_TOKEN_SIZE ==
                   sodium_base64_ENCODED_LEN(TOKEN_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING),
               "a token fits");

struct sessions {
    struct host *host;
    struct admin_record admin; /* constant */
    struct login_limit limit;
    pthread_mutex_t change; /* serialises changes; taken before `lock`, held over the store */
    pthread_mutex_t lock;   /* leaf; guards everything below */
    pthread_cond_t hashed;
    int hashing; /* passwords are being checked */
    struct session_record *list;
    size_t n;
};

static void hash_token(const char *token, unsigned char ret[SESSION_HASH_BYTES])
{
    crypto_hash_sha256(ret, (const unsigned char *)token, strlen(token));
}

/* Lock held. */
static struct session_record *find(struct sessions *s, const unsigned char *hash)
{
    for (size_t i = 0; i < s->n; i++) {
        if (memcmp(s->list[i].hash, hash, SESSION_HASH_BYTES) == 0)
            return &s->list[i];
    }
    return NULL;
}

static void describe(const struct session_record *r, bool admin, struct session_info *ret)
{
    *ret = (struct session_info){
        .admin = admin, .created_ns = r->created_ns, .expires_ns = r->expires_ns};
    memcpy(ret->account, r->account, sizeof(ret->account));
    memcpy(ret->email, r->email, sizeof(ret->email));
}

/* --- changes; `change` held --- */

static int end_session(struct sessions *s, const unsigned char hash[SESSION_HASH_BYTES],
                       struct err *e)
{
    int r = store_session_delete(s->host->store, hash, e);
    if (r < 0)
        return r;
    AUTO_LOCK(&s->lock);
    struct session_record *found = find(s, hash);
    if (found)
        *found = s->list[--s->n];
    return 0;
}

/* Which one makes room: the one that was used least lately, of the account's own when it has too
 * many, so that nobody ends others' by signing in again and again. NULL: there is room. Lock held.
 */
static const struct session_record *in_the_way(const struct sessions *s, const char *account)
{
    const struct session_record *own = NULL, *any = NULL;
    size_t n_own = 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct session_record *r = &s->list[i];
        any = any && any->expires_ns <= r->expires_ns ? any : r;
        if (strcmp(r->account, account) != 0)
            continue;
        own = own && own->expires_ns <= r->expires_ns ? own : r;
        n_own++;
    }
    if (n_own >= SESSIONS_ACCOUNT_MAX)
        return own;
    return s->n >= SESSIONS_MAX ? any : NULL;
}

static int make_room(struct sessions *s, const char *account, struct err *e)
{
    unsigned char hash[SESSION_HASH_BYTES];
    {
        AUTO_LOCK(&s->lock);
        const struct session_record *r = in_the_way(s, account);
        if (!r)
            return 0;
        memcpy(hash, r->hash, sizeof(hash));
    }
    return end_session(s, hash, e);
}

static int begin_session(struct sessions *s, const struct session_record *r, struct err *e)
{
    AUTO_LOCK(&s->change);
    int rc = make_room(s, r->account, e);
    if (rc == 0)
        rc = store_session_put(s->host->store, r, e);
    if (rc < 0)
        return rc;
    AUTO_LOCK(&s->lock);
    s->list[s->n++] = *r;
    return 0;
}

/* --- the password --- */

static bool password_is(struct sessions *s, const char *password)
{
    {
        AUTO_LOCK(&s->lock);
        while (s->hashing >= LOGIN_HASHES_MAX)
            pthread_cond_wait(&s->hashed, &s->lock);
        s->hashing++;
    }
    bool ret = crypto_pwhash_str_verify(s->admin.hash, password, strlen(password)) == 0;
    AUTO_LOCK(&s->lock);
    s->hashing--;
    pthread_cond_signal(&s->hashed);
    return ret;
}

bool host_has_password(struct host *h)
{
    return h->sessions->admin.email[0] != '\0';
}

static int hash_password(const char *password, struct admin_record *ret, struct err *e)
{
    if (crypto_pwhash_str(ret->hash, password, strlen(password), crypto_pwhash_OPSLIMIT_INTERACTIVE,
                          crypto_pwhash_MEMLIMIT_INTERACTIVE) != 0)
        return err_errno(e, -ENOMEM, "hash the password");
    return 0;
}

/* What the configuration says is what counts. The same password as before keeps the sessions that
 * were made with it. */
static int settle_admin(struct sessions *s, struct err *e)
{
    const struct config *c = s->host->config;
    struct admin_record had;
    int r = store_admin_get(s->host->store, &had, e);
    if (r < 0)
        return r;
    bool same_email = strcmp(had.email, c->admin_email) == 0;
    if (!c->admin_email[0] && c->admin_password[0])
        return err_field(e, "email",
                         "admin.password (ADMIN_PASSWORD) is set, but not admin.email "
                         "(ADMIN_EMAIL)");
    if (c->admin_email[0] && !c->admin_password[0] && !same_email)
        return err_field(e, "password",
                         "admin.email (ADMIN_EMAIL) is set, but not admin.password "
                         "(ADMIN_PASSWORD)");
    size_t len = strlen(c->admin_password);
    bool keeps =
        same_email && (!len || crypto_pwhash_str_verify(had.hash, c->admin_password, len) == 0);
    if (keeps) {
        s->admin = had;
        return 0;
    }
    snprintf(s->admin.email, sizeof(s->admin.email), "%s", c->admin_email);
    if (len)
        r = hash_password(c->admin_password, &s->admin, e);
    return r < 0 ? r : store_admin_put(s->host->store, &s->admin, e);
}

/* --- signing in --- */

static void note(struct host *h, const char *account, const char *type, const char *who,
                 const char *peer)
{
    json_t *data = peer ? json_pack("{s:s}", "peer", peer) : NULL;
    const struct activity_note n = {.account = account, .type = type, .name = who, .data = data};
    host_note(h, &n);
    json_decref(data);
}

static int refuse(struct err *e)
{
    return err_set(e, ERR_UNAUTHORIZED, "Invalid credentials");
}

static void new_token(char ret[SESSION_TOKEN_SIZE])
{
    unsigned char raw[TOKEN_BYTES];
    id_random(raw, sizeof(raw));
    sodium_bin2base64(ret, SESSION_TOKEN_SIZE, raw, sizeof(raw),
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(raw, sizeof(raw));
}

/* `r` says who; the rest is made here. */
static int sign_in(struct sessions *s, struct session_record *r, char ret_token[SESSION_TOKEN_SIZE],
                   struct session_info *ret, struct err *e)
{
    bool admin = false;
    char token[SESSION_TOKEN_SIZE];
    if (!accounts_is_admin(s->host->accounts, r->account, &admin))
        return refuse(e);
    new_token(token);
    hash_token(token, r->hash);
    r->created_ns = clock_real_ns();
    r->expires_ns = r->created_ns + LIFE_NS;
    int rc = begin_session(s, r, e);
    if (rc < 0)
        return rc;
    memcpy(ret_token, token, sizeof(token));
    sodium_memzero(token, sizeof(token));
    describe(r, admin, ret);
    return 0;
}

int host_login(struct host *h, const struct login *l, char ret_token[SESSION_TOKEN_SIZE],
               struct session_info *ret, struct err *e)
{
    struct sessions *s = h->sessions;
    struct session_record rec = {0};
    accounts_first_admin(h->accounts, rec.account);
    int r = login_limit_enter(&s->limit, l->peer, clock_mono_ms(), e);
    if (r < 0)
        return r;
    /* A wrong address costs the same time. */
    bool right = host_has_password(h) && password_is(s, l->password) &&
                 strcasecmp(l->email, s->admin.email) == 0;
    if (!right) {
        note(h, rec.account, "session.failed", "Somebody", l->peer);
        return refuse(e);
    }
    login_limit_forgive(&s->limit, l->peer);
    memcpy(rec.email, s->admin.email, sizeof(rec.email));
    r = sign_in(s, &rec, ret_token, ret, e);
    if (r == 0)
        note(h, rec.account, "session.login", rec.email, l->peer);
    return r;
}

/* Who signed in with a key is told by the account's name. */
static void note_account(struct host *h, const char *account, const char *type, const char *peer)
{
    struct account_info a = {0};
    if (host_account_get(h, account, &a, NULL) == 0)
        note(h, account, type, a.name, peer);
}

int host_login_key(struct host *h, const struct login *l, char ret_token[SESSION_TOKEN_SIZE],
                   struct session_info *ret, struct err *e)
{
    struct sessions *s = h->sessions;
    struct session_record rec = {0};
    char admin[ID_SIZE];
    int r = login_limit_enter(&s->limit, l->peer, clock_mono_ms(), e);
    if (r < 0)
        return r;
    if (accounts_find_key(h->accounts, l->key, rec.account, rec.key, NULL) < 0) {
        accounts_first_admin(h->accounts, admin);
        note(h, admin, "session.failed", "Somebody", l->peer);
        return refuse(e);
    }
    login_limit_forgive(&s->limit, l->peer);
    r = sign_in(s, &rec, ret_token, ret, e);
    if (r == 0)
        note_account(h, rec.account, "session.login", l->peer);
    return r;
}

/* --- using it --- */

static int none(struct err *e)
{
    return err_set(e, ERR_UNAUTHORIZED, "the session is over");
}

static void end_quietly(struct sessions *s, const unsigned char *hash)
{
    struct err e = ERR_INIT;
    static struct log_limit limit;
    AUTO_LOCK(&s->change);
    if (end_session(s, hash, &e) < 0 && log_limit_pass(&limit))
        log_warn("sessions", "one that is over stays in the store: %s", e.text);
}

/* It lasts from its last use. */
static void prolong(struct sessions *s, const unsigned char *hash, int64_t now)
{
    struct session_record r;
    struct err e = ERR_INIT;
    static struct log_limit limit;
    AUTO_LOCK(&s->change);
    {
        AUTO_LOCK(&s->lock);
        struct session_record *found = find(s, hash);
        if (!found)
            return;
        found->expires_ns = now + LIFE_NS;
        r = *found;
    }
    if (store_session_put(s->host->store, &r, &e) < 0 && log_limit_pass(&limit))
        log_warn("sessions", "the use of one was not noted: %s", e.text);
}

static bool look_up(struct sessions *s, const unsigned char *hash, struct session_record *ret)
{
    AUTO_LOCK(&s->lock);
    const struct session_record *found = find(s, hash);
    if (found)
        *ret = *found;
    return found != NULL;
}

int host_session(struct host *h, const char *token, struct session_info *ret, struct err *e)
{
    struct sessions *s = h->sessions;
    unsigned char hash[SESSION_HASH_BYTES];
    struct session_record r;
    bool admin = false;
    int64_t now = clock_real_ns();
    hash_token(token, hash);
    if (!look_up(s, hash, &r))
        return none(e);
    if (now >= r.expires_ns || !accounts_is_admin(h->accounts, r.account, &admin) ||
        (r.key[0] && !accounts_key_lives(h->accounts, r.key))) {
        end_quietly(s, hash);
        return none(e);
    }
    if (now + LIFE_NS - r.expires_ns > NOTE_NS) {
        prolong(s, hash, now);
        r.expires_ns = now + LIFE_NS;
    }
    describe(&r, admin, ret);
    return 0;
}

int host_logout(struct host *h, const char *token, struct err *e)
{
    struct sessions *s = h->sessions;
    unsigned char hash[SESSION_HASH_BYTES];
    struct session_record r;
    hash_token(token, hash);
    if (!look_up(s, hash, &r))
        return 0;
    {
        AUTO_LOCK(&s->change);
        int rc = end_session(s, hash, e);
        if (rc < 0)
            return rc;
    }
    if (r.email[0])
        note(h, r.account, "session.logout", r.email, NULL);
    else
        note_account(h, r.account, "session.logout", NULL);
    return 0;
}

/* --- beginning and end --- */

/* The newest SESSIONS_MAX; those that are over go when they are asked about or make room. */
static int load(struct sessions *s, struct err *e)
{
    auto_free struct session_record *list = NULL;
    size_t n = 0;
    int r = store_session_list(s->host->store, &list, &n, e);
    if (r < 0)
        return r;
    size_t skip = n > SESSIONS_MAX ? n - SESSIONS_MAX : 0;
    s->n = n - skip;
    if (s->n)
        memcpy(s->list, list + skip, s->n * sizeof(*list));
    return 0;
}

int sessions_new(struct host *h, struct sessions **ret, struct err *e)
{
    struct sessions *s = calloc(1, sizeof(*s));
    if (!s)
        return err_errno(e, -ENOMEM, "sessions");
    s->host = h;
    login_limit_init(&s->limit);
    pthread_mutex_init(&s->change, NULL);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->hashed, NULL);
    s->list = calloc(SESSIONS_MAX, sizeof(*s->list));
    int r = s->list ? settle_admin(s, e) : err_errno(e, -ENOMEM, "sessions");
    if (r == 0)
        r = load(s, e);
    if (r < 0)
        sessions_free(s);
    else
        *ret = s;
    return r;
}

void sessions_free(struct sessions *s)
{
    if (!s)
        return;
    free(s->list);
    login_limit_done(&s->limit);
    pthread_cond_destroy(&s->hashed);
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->change);
    free(s);
}
