/* SPDX-License-Identifier: Apache-2.0 */

/* The stub host's sessions, activity, webhooks and overview. The password of a@b is "p"; one event
 * has happened, and one more happens to whoever follows. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/stub_vms.h"
#include "base/limits.h"
#include "host/accounts.h"
#include "host/activity.h"
#include "host/overview.h"
#include "host/sessions.h"
#include "host/webhooks.h"

#define SESSIONS 16
#define WEBHOOKS 8
#define CREATED_NS 1700000000000000000

static struct {
    char token[SESSION_TOKEN_SIZE];
    struct session_info info;
} sessions[SESSIONS];
static size_t n_sessions;
static struct webhook_info webhooks[WEBHOOKS];
static size_t n_webhooks;

void stub_people_reset(void)
{
    n_sessions = n_webhooks = 0;
}

/* --- sessions --- */

static int begin(const char *account, bool admin, const char *email,
                 char ret_token[SESSION_TOKEN_SIZE], struct session_info *ret, struct err *e)
{
    if (n_sessions == SESSIONS)
        return err_set(e, ERR_FULL, "too many sessions");
    struct session_info *s = &sessions[n_sessions].info;
    *s = (struct session_info){.admin = admin, .created_ns = CREATED_NS};
    snprintf(s->account, sizeof(s->account), "%s", account);
    snprintf(s->email, sizeof(s->email), "%s", email);
    snprintf(sessions[n_sessions].token, SESSION_TOKEN_SIZE, "token%038zu", n_sessions);
    strcpy(ret_token, sessions[n_sessions++].token);
    *ret = *s;
    return 0;
}

static int refuse(struct err *e)
{
    return err_set(e, ERR_UNAUTHORIZED, "Invalid credentials");
}

int host_login(struct host *h, const struct login *l, char ret_token[SESSION_TOKEN_SIZE],
               struct session_info *ret, struct err *e)
{
    STUB_MAY_FAIL(e);
    if (strcmp(l->email, "a@b") != 0 || strcmp(l->password, "p") != 0)
        return refuse(e);
    return begin(STUB_ADMIN, true, l->email, ret_token, ret, e);
}

int host_login_key(struct host *h, const struct login *l, char ret_token[SESSION_TOKEN_SIZE],
                   struct session_info *ret, struct err *e)
{
    STUB_MAY_FAIL(e);
    char account[ID_SIZE];
    bool admin;
    if (host_key_account(h, l->key, account, &admin, NULL) < 0)
        return refuse(e);
    return begin(account, admin, "", ret_token, ret, e);
}

/* Not counted as a call that may fail: many requests make it. */
int host_session(struct host *h, const char *token, struct session_info *ret, struct err *e)
{
    for (size_t i = 0; i < n_sessions; i++) {
        if (strcmp(sessions[i].token, token) == 0) {
            *ret = sessions[i].info;
            return 0;
        }
    }
    return err_set(e, ERR_UNAUTHORIZED, "the session is over");
}

int host_logout(struct host *h, const char *token, struct err *e)
{
    STUB_MAY_FAIL(e);
    for (size_t i = 0; i < n_sessions; i++) {
        if (strcmp(sessions[i].token, token) == 0)
            sessions[i] = sessions[--n_sessions];
    }
    return 0;
}

bool host_has_password(struct host *h)
{
    return true;
}

/* --- activity --- */

const char *host_activity_type(size_t index)
{
    static const char *const types[] = {"vm.created", "vm.deleted"};
    return index < 2 ? types[index] : NULL;
}

void activity_done(struct activity *a)
{
    free(a->name);
    free(a->text);
    json_decref(a->data);
    *a = (struct activity){0};
}

void activity_list_done(struct activity_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        activity_done(&l->items[i]);
    free(l->items);
    *l = (struct activity_list){0};
}

static void event(int64_t id, struct activity *ret)
{
    *ret = (struct activity){.id = id,
                             .at_ns = CREATED_NS,
                             .type = "vm.created",
                             .account = STUB_ADMIN,
                             .entity = "vmvmvmvmvmvmvmvmvmvm",
                             .name = strdup("one"),
                             .text = strdup("VM one was created"),
                             .data = json_pack("{s:s}", "image", "bash")};
}

int host_activity_list(struct host *h, const char *account, int64_t before_id, int limit,
                       struct activity_list *ret, struct err *e)
{
    STUB_MAY_FAIL(e);
    ret->items = calloc(1, sizeof(*ret->items));
    ret->n = 1;
    event(1, ret->items);
    return 0;
}

struct activity_feed {
    bool told;
};

int host_activity_follow(struct host *h, const char *account, int64_t after_id,
                         struct activity_feed **ret, struct err *e)
{
    STUB_MAY_FAIL(e);
    *ret = calloc(1, sizeof(**ret));
    return 0;
}

int activity_feed_next(struct activity_feed *f, int timeout_ms, struct activity *ret, struct err *e)
{
    if (f->told)
        return -ECANCELED;
    f->told = true;
    event(2, ret);
    return 1;
}

void activity_feed_close(struct activity_feed *f)
{
    free(f);
}

/* --- webhooks --- */

static void apply(const struct webhook_patch *p, struct webhook_info *w)
{
    if (p->name)
        snprintf(w->name, sizeof(w->name), "%s", p->name);
    if (p->url)
        snprintf(w->url, sizeof(w->url), "%s", p->url);
    if (p->types)
        snprintf(w->types, sizeof(w->types), "%s", p->types);
    if (p->enabled)
        w->enabled = *p->enabled;
}

static struct webhook_info *find(const char *account, const char *id, struct err *e)
{
    for (size_t i = 0; i < n_webhooks; i++) {
        if (strcmp(webhooks[i].id, id) == 0 && strcmp(webhooks[i].account, account) == 0)
            return &webhooks[i];
    }
    err_set(e, ERR_NOT_FOUND, "there is no such webhook");
    return NULL;
}

int host_webhook_create(struct host *h, const char *account, const struct webhook_patch *w,
                        struct webhook_info *ret, struct err *e)
{
    STUB_MAY_FAIL(e);
    if (n_webhooks == WEBHOOKS)
        return err_set(e, ERR_FORBIDDEN, "too many webhooks");
    struct webhook_info *fresh = &webhooks[n_webhooks++];
    *fresh = (struct webhook_info){.secret = "whs_secret",
                                   .enabled = true,
                                   .created_ns = CREATED_NS,
                                   .updated_ns = CREATED_NS};
    id_new(fresh->id);
    snprintf(fresh->account, sizeof(fresh->account), "%s", account);
    apply(w, fresh);
    *ret = *fresh;
    return 0;
}

int host_webhook_list(struct host *h, const char *account, struct webhook_info **ret, size_t *ret_n,
                      struct err *e)
{
    STUB_MAY_FAIL(e);
    *ret = calloc(WEBHOOKS, sizeof(**ret));
    *ret_n = 0;
    for (size_t i = 0; i < n_webhooks; i++) {
        if (strcmp(webhooks[i].account, account) == 0)
            (*ret)[(*ret_n)++] = webhooks[i];
    }
    return 0;
}

int host_webhook_get(struct host *h, const char *account, const char *id, struct webhook_info *ret,
                     struct err *e)
{
    STUB_MAY_FAIL(e);
    const struct webhook_info *w = find(account, id, e);
    if (!w)
        return -ENOENT;
    *ret = *w;
    return 0;
}

int host_webhook_update(struct host *h, const char *account, const char *id,
                        const struct webhook_patch *p, struct webhook_info *ret, struct err *e)
{
    STUB_MAY_FAIL(e);
    struct webhook_info *w = find(account, id, e);
    if (!w)
        return -ENOENT;
    apply(p, w);
    *ret = *w;
    return 0;
}

int host_webhook_delete(struct host *h, const char *account, const char *id, struct err *e)
{
    STUB_MAY_FAIL(e);
    struct webhook_info *w = find(account, id, e);
    if (!w)
        return -ENOENT;
    *w = webhooks[--n_webhooks];
    return 0;
}

/* --- overview --- */

int host_overview(struct host *h, const char *account, struct host_overview *ret, struct err *e)
{
    STUB_MAY_FAIL(e);
    *ret = (struct host_overview){.cpus = 4,
                                  .cpu_used = 1.5,
                                  .memory_capacity_bytes = 8 * (int64_t)GIB,
                                  .storage_capacity_bytes = 100 * (int64_t)GIB,
                                  .started_ns = CREATED_NS};
    return 0;
}
