/* SPDX-License-Identifier: Apache-2.0 */

/* Delivering. One thread with libcurl's multi interface: each webhook has at most one request under
 * way, for the first event behind what it was told, so the order holds and a slow one waits alone.
 * What is done is a number in the store, written after the answer has come: a daemon that dies in
 * between tells the event again. */

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/accounts.h"
#include "host/host_priv.h"
#include "host/store_people.h"
#include "host/webhooks_priv.h"

#define LOOK_MS 60000 /* with nothing to do; everything that happens wakes the thread */
#define EVENTS_AT_ONCE 32

/* --- what is next --- */

static void forget_event(struct delivery *d)
{
    if (d->has_event)
        activity_done(&d->event);
    d->has_event = false;
    d->tries = 0;
    d->next_ms = 0;
}

static void end_request(struct webhooks *w, struct delivery *d)
{
    if (d->easy) {
        curl_multi_remove_handle(w->multi, d->easy);
        curl_easy_cleanup(d->easy);
    }
    d->easy = NULL;
    curl_slist_free_all(d->headers);
    d->headers = NULL;
    buf_done(&d->body);
}

void webhooks_drop_delivery(struct webhooks *w, struct delivery *d)
{
    end_request(w, d);
    forget_event(d);
}

static bool asks_for(const struct webhook_info *to, const char *type)
{
    size_t len = strlen(type);
    if (!activity_type_told(type))
        return false;
    if (!to->types[0])
        return true;
    for (const char *p = to->types; (p = strstr(p, type)); p += len) {
        if ((p == to->types || p[-1] == ' ') && (!p[len] || p[len] == ' '))
            return true;
    }
    return false;
}

/* The first one beyond the cursor that it asks for. False: there is none yet. */
static bool find_event(struct webhooks *w, struct delivery *d, struct err *e)
{
    bool admin = false;
    struct activity_query q = {.after = true, .limit = EVENTS_AT_ONCE};
    if (!accounts_is_admin(w->host->accounts, d->to.account, &admin))
        return false;
    q.account = admin ? NULL : d->to.account;
    for (size_t n = 1; n && !d->has_event;) {
        struct activity_list list = {0};
        q.from = d->cursor;
        if (store_activity_list(w->host->store, &q, &list, e) < 0)
            return false;
        n = list.n;
        for (size_t i = 0; i < n && !d->has_event; i++) {
            d->cursor = list.items[i].id;
            if (!asks_for(&d->to, list.items[i].type))
                continue;
            d->event = list.items[i];
            list.items[i] = (struct activity){0};
            d->has_event = true;
        }
        activity_list_done(&list);
    }
    return d->has_event;
}

/* --- the request --- */

/* The status says enough; of a body only so much is taken. */
static size_t on_answer(char *data, size_t size, size_t n, void *arg)
{
    struct delivery *d = arg;
    d->answer_bytes += size * n;
    return d->answer_bytes > WEBHOOK_ANSWER_MAX_BYTES ? 0 : size * n;
}

static int make_body(struct webhooks *w, struct delivery *d)
{
    json_t *o = w->event_json(&d->event);
    int r = o ? json_object_set_new(o, "webhookId", w->id_json(d->to.id)) : -1;
    char *text = r == 0 ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    if (text)
        buf_append_str(&d->body, text);
    free(text);
    return text && !d->body.failed ? 0 : -ENOMEM;
}

static int add_header(struct delivery *d, const char *fmt, const char *value)
{
    char line[256];
    snprintf(line, sizeof(line), "%s%s", fmt, value);
    struct curl_slist *more = curl_slist_append(d->headers, line);
    if (!more)
        return -ENOMEM;
    d->headers = more;
    return 0;
}

static int make_headers(struct delivery *d)
{
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    char hex[2 * sizeof(mac) + 1], number[24];
    crypto_auth_hmacsha256_state st;
    crypto_auth_hmacsha256_init(&st, (const unsigned char *)d->to.secret, strlen(d->to.secret));
    crypto_auth_hmacsha256_update(&st, (const unsigned char *)d->body.data, d->body.len);
    crypto_auth_hmacsha256_final(&st, mac);
    sodium_memzero(&st, sizeof(st));
    sodium_bin2hex(hex, sizeof(hex), mac, sizeof(mac));
    snprintf(number, sizeof(number), "%lld", (long long)d->event.id);
    int r = add_header(d, "Content-Type: ", "application/json");
    if (r == 0)
        r = add_header(d, "Expect:", ""); /* no waiting for 100 Continue */
    if (r == 0)
        r = add_header(d, "X-Holm-Event: ", d->event.type);
    if (r == 0)
        r = add_header(d, "X-Holm-Delivery: ", number);
    return r == 0 ? add_header(d, "X-Holm-Signature: sha256=", hex) : r;
}

/* As libcurl's own would be, but CLOEXEC. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static CURL *make_request(struct webhooks *w, struct hook *hook)
{
    struct delivery *d = &hook->delivery;
    CURL *c = curl_easy_init();
    if (!c)
        return NULL;
    curl_easy_setopt(c, CURLOPT_PRIVATE, hook);
    curl_easy_setopt(c, CURLOPT_URL, d->to.url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_QUICK_EXIT,
                     1L); /* no waiting for a resolver that does not answer */
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)w->timeout_ms);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "Holm/" HOLM_VERSION);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, d->headers);
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, d->body.data);
    curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)d->body.len);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, d);
    return c;
}

static int start_request(struct webhooks *w, struct hook *hook)
{
    struct delivery *d = &hook->delivery;
    d->answer_bytes = 0;
    if (make_body(w, d) < 0 || make_headers(d) < 0)
        return -ENOMEM;
    d->easy = make_request(w, hook);
    return d->easy && curl_multi_add_handle(w->multi, d->easy) == CURLM_OK ? 0 : -ENOMEM;
}

/* --- its end --- */

struct outcome {
    int64_t tried_ns, done_id; /* done_id 0: it is tried again */
    int status;
    char error[sizeof(((struct webhook_info *)0)->last_error)];
};

static void take_outcome(struct webhook_info *info, const void *arg)
{
    const struct outcome *o = arg;
    info->last_tried_ns = o->tried_ns;
    info->last_status = o->status;
    memcpy(info->last_error, o->error, sizeof(info->last_error));
    if (o->done_id > info->delivered_id)
        info->delivered_id = o->done_id;
}

static void describe(const struct delivery *d, CURLcode code, struct outcome *ret)
{
    long status = 0;
    *ret = (struct outcome){.tried_ns = clock_real_ns()};
    curl_easy_getinfo(d->easy, CURLINFO_RESPONSE_CODE, &status);
    bool cut = code == CURLE_WRITE_ERROR && d->answer_bytes > WEBHOOK_ANSWER_MAX_BYTES;
    ret->status = (int)status;
    if (code != CURLE_OK && !cut)
        snprintf(ret->error, sizeof(ret->error), "%s", curl_easy_strerror(code));
    else if (status < 200 || status > 299)
        snprintf(ret->error, sizeof(ret->error), "it answered %ld", status);
}

static void note_failure(struct webhooks *w, const struct delivery *d, const struct outcome *o)
{
    json_t *data = json_pack("{s:I, s:s, s:s}", "event", (json_int_t)d->event.id, "eventType",
                             d->event.type, "error", o->error);
    const struct activity_note n = {.account = d->to.account,
                                    .type = "webhook.failed",
                                    .entity = d->to.id,
                                    .name = d->to.name,
                                    .data = data};
    host_note(w->host, &n);
    json_decref(data);
    log_warn("webhooks", "webhook=%s event=%lld given up after %d tries: %s", d->to.id,
             (long long)d->event.id, d->tries, o->error);
}

static int wait_ms(const struct webhooks *w, int tries)
{
    int ms = w->wait_ms;
    while (--tries > 0 && ms < WEBHOOK_WAIT_MAX_MS)
        ms *= 2;
    return ms < WEBHOOK_WAIT_MAX_MS ? ms : WEBHOOK_WAIT_MAX_MS;
}

static void finish(struct webhooks *w, struct hook *hook, CURLcode code)
{
    struct delivery *d = &hook->delivery;
    struct outcome o;
    struct err e = ERR_INIT;
    describe(d, code, &o);
    end_request(w, d);
    d->tries++;
    bool failed = o.error[0] != '\0', over = !failed || d->tries >= WEBHOOK_TRIES;
    if (over)
        o.done_id = d->event.id;
    if (webhooks_edit(w, hook, take_outcome, &o, &e) < 0)
        log_warn("webhooks", "webhook=%s what was delivered is not stored: %s", d->to.id, e.text);
    if (failed && over)
        note_failure(w, d, &o);
    if (over)
        forget_event(d);
    else
        d->next_ms = clock_mono_ms() + wait_ms(w, d->tries);
}

/* --- the thread --- */

/* Takes over what was changed about it. False: it is to be told nothing. */
static bool look_at(struct webhooks *w, struct hook *hook)
{
    struct delivery *d = &hook->delivery;
    bool has_changed, is_told;
    {
        AUTO_LOCK(&w->lock);
        has_changed = !d->has_copy || d->version != hook->version;
        if (has_changed)
            d->to = hook->info;
        d->version = hook->version;
        d->has_copy = true;
        is_told = d->to.enabled && w->event_json;
    }
    if (has_changed) {
        webhooks_drop_delivery(w, d);
        d->cursor = d->to.delivered_id;
    }
    return is_told;
}

/* Returns when to look again. */
static int64_t tend(struct webhooks *w, struct hook *hook, int64_t now_ms)
{
    static struct log_limit limit;
    struct delivery *d = &hook->delivery;
    struct err e = ERR_INIT;
    int64_t later_ms = now_ms + LOOK_MS;
    if (!look_at(w, hook) || d->easy)
        return later_ms;
    if (now_ms < d->next_ms)
        return d->next_ms;
    if (!d->has_event && !find_event(w, d, &e)) {
        if (e.text[0] && log_limit_pass(&limit))
            log_warn("webhooks", "webhook=%s: %s", d->to.id, e.text);
        return later_ms;
    }
    if (start_request(w, hook) < 0) {
        end_request(w, d);
        d->next_ms = now_ms + w->wait_ms;
        return d->next_ms;
    }
    return later_ms;
}

/* The one after `hook` that is not deleted; those that are before it come to *ret_gone. */
static struct hook *unlink_gone(struct webhooks *w, struct hook *hook, struct hook **ret_gone)
{
    AUTO_LOCK(&w->lock);
    struct hook **p = hook ? &hook->next : &w->first;
    while (*p && (*p)->gone) {
        struct hook *old = *p;
        *p = old->next;
        if (w->end == &old->next)
            w->end = p;
        old->next = *ret_gone;
        *ret_gone = old;
    }
    return *p;
}

static struct hook *step(struct webhooks *w, struct hook *hook)
{
    struct hook *gone = NULL, *next = unlink_gone(w, hook, &gone);
    while (gone) {
        struct hook *old = gone;
        gone = old->next;
        webhooks_drop_delivery(w, &old->delivery);
        free(old);
    }
    return next;
}

/* True: something has ended. */
static bool take_ended(struct webhooks *w)
{
    CURLMsg *m;
    int left;
    bool any = false;
    while ((m = curl_multi_info_read(w->multi, &left))) {
        if (m->msg != CURLMSG_DONE)
            continue;
        struct hook *hook = NULL;
        CURLcode code = m->data.result;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&hook);
        finish(w, hook, code);
        any = true;
    }
    return any;
}

static bool is_stopping(struct webhooks *w)
{
    AUTO_LOCK(&w->lock);
    return w->stopping;
}

void *webhooks_deliver(void *arg)
{
    struct webhooks *w = arg;
    int running;
    while (!is_stopping(w)) {
        int64_t now_ms = clock_mono_ms(), until_ms = now_ms + LOOK_MS;
        for (struct hook *hook = NULL; (hook = step(w, hook));) {
            int64_t ms = tend(w, hook, now_ms);
            until_ms = ms < until_ms ? ms : until_ms;
        }
        curl_multi_perform(w->multi, &running);
        if (!take_ended(w))
            curl_multi_poll(w->multi, NULL, 0, clock_left_ms(until_ms), NULL);
    }
    return NULL;
}
