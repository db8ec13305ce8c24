/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/accounts.h"
#include "host/host_priv.h"
#include "host/store_people.h"
#include "host/webhooks_priv.h"

#define SECRET_PREFIX "whs_"
#define SECRET_BYTES 32

_Static_assert(WEBHOOK_NAME_SIZE == ACCOUNT_NAME_MAX_BYTES + 1, "names are alike");

/* --- checks --- */

static int copy_name(const char *name, char ret[WEBHOOK_NAME_SIZE], struct err *e)
{
    size_t len = strlen(name);
    if (!len || len >= WEBHOOK_NAME_SIZE)
        return err_field(e, "name", "field \"name\" must have 1 to %d bytes",
                         WEBHOOK_NAME_SIZE - 1);
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)name[i] < ' ' || name[i] == 0x7f)
            return err_field(e, "name", "field \"name\" holds a control character");
    }
    memcpy(ret, name, len + 1);
    return 0;
}

static void free_curlu(CURLU **u)
{
    curl_url_cleanup(*u);
}

static void free_part(char **part)
{
    curl_free(*part);
}

static int bad_url(struct err *e, const char *why)
{
    return err_field(e, "url", "field \"url\" %s", why);
}

static int copy_url(const char *url, char ret[WEBHOOK_URL_SIZE], struct err *e)
{
    CLEANUP(free_curlu) CURLU *u = curl_url();
    CLEANUP(free_part) char *scheme = NULL;
    CLEANUP(free_part) char *host = NULL;
    if (!u)
        return err_errno(e, -ENOMEM, "webhook");
    if (strlen(url) >= WEBHOOK_URL_SIZE)
        return bad_url(e, "is too long");
    CURLUcode code = curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME);
    if (code == CURLUE_OK)
        code = curl_url_get(u, CURLUPART_SCHEME, &scheme, 0);
    if (code != CURLUE_OK)
        return bad_url(e, "is no URL");
    if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
        return bad_url(e, "must begin with http:// or https://");
    if (curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK || !*host)
        return bad_url(e, "names no host");
    /* They would be shown to all who may see the webhook. */
    if (strchr(url, '@') && curl_url_set(u, CURLUPART_URL, url, CURLU_DISALLOW_USER) != CURLUE_OK)
        return bad_url(e, "must hold no user and password");
    strcpy(ret, url);
    return 0;
}

static int copy_types(const char *types, char ret[WEBHOOK_TYPES_SIZE], struct err *e)
{
    char words[WEBHOOK_TYPES_SIZE];
    if (strlen(types) >= sizeof(words))
        return err_field(e, "eventTypes", "field \"eventTypes\" has too many words");
    strcpy(words, types);
    for (char *save, *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        if (!activity_type_told(word))
            return err_field(e, "eventTypes", "there is no event type \"%.40s\"", word);
    }
    strcpy(ret, types);
    return 0;
}

/* `info` is a copy of what is, or new. */
static int apply(struct webhooks *w, const struct webhook_patch *p, struct webhook_info *info,
                 struct err *e)
{
    int r = p->name ? copy_name(p->name, info->name, e) : 0;
    if (r == 0 && p->url)
        r = copy_url(p->url, info->url, e);
    if (r == 0 && p->types)
        r = copy_types(p->types, info->types, e);
    if (r < 0)
        return r;
    bool was_enabled = info->enabled;
    if (p->enabled)
        info->enabled = *p->enabled;
    if (info->enabled && !was_enabled)
        info->delivered_id = activities_newest(w->host->activities);
    info->updated_ns = clock_real_ns();
    return 0;
}

/* --- the set --- */

/* Lock held. `account` NULL: whosever it is. */
static struct hook *find(struct webhooks *w, const char *account, const char *id)
{
    for (struct hook *h = w->first; h; h = h->next) {
        if (!h->gone && strcmp(h->info.id, id) == 0 &&
            (!account || strcmp(h->info.account, account) == 0))
            return h;
    }
    return NULL;
}

/* Also of an account that was deleted after the request had been let in. */
static int check_account(struct webhooks *w, const char *account, struct err *e)
{
    bool admin;
    if (accounts_is_admin(w->host->accounts, account, &admin))
        return 0;
    return err_set(e, ERR_NOT_FOUND, "there is no account %.40s", account);
}

static int none(struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "there is no such webhook");
}

static int append(struct webhooks *w, const struct webhook_info *info)
{
    struct hook *h = calloc(1, sizeof(*h));
    if (!h)
        return -ENOMEM;
    h->info = *info;
    AUTO_LOCK(&w->lock);
    *w->end = h;
    w->end = &h->next;
    return 0;
}

static void note(struct webhooks *w, const char *type, const struct webhook_info *info)
{
    const struct activity_note n = {
        .account = info->account, .type = type, .entity = info->id, .name = info->name};
    host_note(w->host, &n);
}

static int check_count(struct webhooks *w, const char *account, struct err *e)
{
    AUTO_LOCK(&w->lock);
    int n = 0;
    for (struct hook *h = w->first; h; h = h->next)
        n += !h->gone && strcmp(h->info.account, account) == 0;
    return n < WEBHOOKS_MAX ? 0
                            : err_set(e, ERR_FORBIDDEN, "there are %d webhooks already: delete one",
                                      WEBHOOKS_MAX);
}

static void describe(const char *account, struct webhook_info *ret)
{
    unsigned char raw[SECRET_BYTES];
    *ret = (struct webhook_info){.created_ns = clock_real_ns()};
    id_new(ret->id);
    snprintf(ret->account, sizeof(ret->account), "%s", account);
    id_random(raw, sizeof(raw));
    char *p = stpcpy(ret->secret, SECRET_PREFIX);
    sodium_bin2base64(p, (size_t)(ret->secret + WEBHOOK_SECRET_SIZE - p), raw, sizeof(raw),
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(raw, sizeof(raw));
}

int host_webhook_create(struct host *h, const char *account, const struct webhook_patch *p,
                        struct webhook_info *ret, struct err *e)
{
    static const bool yes = true;
    struct webhooks *w = h->webhooks;
    struct webhook_info info;
    struct webhook_patch all = *p;
    describe(account, &info);
    all.name = p->name ? p->name : "";
    all.enabled = p->enabled ? p->enabled : &yes;
    if (!p->url)
        return bad_url(e, "is missing");
    int r = apply(w, &all, &info, e);
    if (r < 0)
        return r;
    {
        AUTO_LOCK(&w->change);
        r = check_account(w, account, e);
        r = r < 0 ? r : check_count(w, account, e);
        if (r == 0)
            r = store_webhook_put(h->store, &info, e);
        if (r == 0 && append(w, &info) < 0)
            r = err_errno(e, -ENOMEM, "webhook");
    }
    if (r < 0)
        return r;
    note(w, "webhook.created", &info);
    *ret = info;
    return 0;
}

int host_webhook_list(struct host *h, const char *account, struct webhook_info **ret, size_t *ret_n,
                      struct err *e)
{
    struct webhooks *w = h->webhooks;
    AUTO_LOCK(&w->lock);
    struct webhook_info *list = calloc(WEBHOOKS_MAX, sizeof(*list));
    size_t n = 0;
    if (!list)
        return err_errno(e, -ENOMEM, "list webhooks");
    for (struct hook *hook = w->first; hook && n < WEBHOOKS_MAX; hook = hook->next) {
        if (!hook->gone && strcmp(hook->info.account, account) == 0)
            list[n++] = hook->info;
    }
    *ret = list;
    *ret_n = n;
    return 0;
}

int host_webhook_get(struct host *h, const char *account, const char *id, struct webhook_info *ret,
                     struct err *e)
{
    struct webhooks *w = h->webhooks;
    AUTO_LOCK(&w->lock);
    const struct hook *hook = find(w, account, id);
    if (!hook)
        return none(e);
    *ret = hook->info;
    return 0;
}

/* `change` held. Another delivery than the one under way may be wanted now. */
static void replace(struct webhooks *w, const struct webhook_info *info)
{
    AUTO_LOCK(&w->lock);
    struct hook *hook = find(w, NULL, info->id);
    hook->info = *info;
    hook->version++;
}

int host_webhook_update(struct host *h, const char *account, const char *id,
                        const struct webhook_patch *p, struct webhook_info *ret, struct err *e)
{
    struct webhooks *w = h->webhooks;
    struct webhook_info info;
    {
        AUTO_LOCK(&w->change);
        int r = host_webhook_get(h, account, id, &info, e);
        if (r == 0)
            r = apply(w, p, &info, e);
        if (r == 0)
            r = store_webhook_put(h->store, &info, e);
        if (r < 0)
            return r;
        replace(w, &info);
    }
    note(w, "webhook.updated", &info);
    webhooks_wake(w);
    *ret = info;
    return 0;
}

int host_webhook_delete(struct host *h, const char *account, const char *id, struct err *e)
{
    struct webhooks *w = h->webhooks;
    struct webhook_info info;
    {
        AUTO_LOCK(&w->change);
        int r = host_webhook_get(h, account, id, &info, e);
        if (r == 0)
            r = store_webhook_delete(h->store, id, e);
        if (r < 0)
            return r;
        AUTO_LOCK(&w->lock);
        find(w, account, id)->gone = true;
    }
    note(w, "webhook.deleted", &info);
    webhooks_wake(w);
    return 0;
}

/* `change` held. NULL: the account has none. */
static struct hook *find_of(struct webhooks *w, const char *account)
{
    AUTO_LOCK(&w->lock);
    struct hook *h = w->first;
    while (h && (h->gone || strcmp(h->info.account, account) != 0))
        h = h->next;
    return h;
}

void webhooks_drop_of(struct webhooks *w, const char *account)
{
    if (!w)
        return;
    {
        AUTO_LOCK(&w->change);
        for (struct hook *h; (h = find_of(w, account));) {
            struct err e = ERR_INIT;
            if (store_webhook_delete(w->host->store, h->info.id, &e) < 0)
                log_warn("webhooks", "webhook=%s is stored until the next start: %s", h->info.id,
                         e.text);
            AUTO_LOCK(&w->lock);
            h->gone = true;
        }
    }
    webhooks_wake(w);
}

int webhooks_edit(struct webhooks *w, struct hook *hook,
                  void (*edit)(struct webhook_info *info, const void *arg), const void *arg,
                  struct err *e)
{
    struct webhook_info info;
    AUTO_LOCK(&w->change);
    {
        AUTO_LOCK(&w->lock);
        if (hook->gone)
            return 0;
        info = hook->info;
    }
    edit(&info, arg);
    int r = store_webhook_put(w->host->store, &info, e);
    AUTO_LOCK(&w->lock);
    hook->info = info; /* what is not stored is at least not repeated by this daemon */
    return r;
}

/* --- beginning and end --- */

void host_webhooks_tell(struct host *h, json_t *(*event_json)(const struct activity *a),
                        json_t *(*id_json)(const char *id))
{
    struct webhooks *w = h->webhooks;
    {
        AUTO_LOCK(&w->lock);
        w->event_json = event_json;
        w->id_json = id_json;
    }
    webhooks_wake(w);
}

/* Those of an account that was deleted are there when the daemon died then. */
static int load_one(void *arg, const void *row)
{
    struct webhooks *w = arg;
    const struct webhook_info *info = row;
    bool admin;
    if (accounts_is_admin(w->host->accounts, info->account, &admin))
        return append(w, info);
    return store_webhook_delete(w->host->store, info->id, NULL);
}

static int start(struct webhooks *w, struct err *e)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    w->multi = curl_multi_init();
    if (!w->multi)
        return err_errno(e, -ENOMEM, "webhooks");
    int r = store_webhooks_each(w->host->store, load_one, w, e);
    if (r == 0 && pthread_create(&w->thread, NULL, webhooks_deliver, w) != 0)
        r = err_set(e, ERR_INTERNAL, "webhooks: cannot start a thread");
    w->has_thread = r == 0;
    return r;
}

int webhooks_new(struct host *h, struct webhooks **ret, struct err *e)
{
    struct webhooks *w = calloc(1, sizeof(*w));
    if (!w)
        return err_errno(e, -ENOMEM, "webhooks");
    w->host = h;
    w->end = &w->first;
    w->wait_ms = 1000;
    w->timeout_ms = WEBHOOK_TIMEOUT_MS;
    pthread_mutex_init(&w->change, NULL);
    pthread_mutex_init(&w->lock, NULL);
    int r = start(w, e);
    if (r < 0)
        webhooks_free(w);
    else
        *ret = w;
    return r;
}

void webhooks_wake(struct webhooks *w)
{
    if (w)
        curl_multi_wakeup(w->multi);
}

void webhooks_stop(struct webhooks *w)
{
    if (!w || !w->has_thread)
        return;
    {
        AUTO_LOCK(&w->lock);
        w->stopping = true;
    }
    webhooks_wake(w);
    pthread_join(w->thread, NULL);
    w->has_thread = false;
}

void webhooks_free(struct webhooks *w)
{
    if (!w)
        return;
    while (w->first) {
        struct hook *h = w->first;
        w->first = h->next;
        webhooks_drop_delivery(w, &h->delivery);
        free(h);
    }
    curl_multi_cleanup(w->multi);
    pthread_mutex_destroy(&w->lock);
    pthread_mutex_destroy(&w->change);
    free(w);
}
