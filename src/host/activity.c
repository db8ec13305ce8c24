/* SPDX-License-Identifier: Apache-2.0 */

/* Events: a queue, a thread that writes it to the store in batches, followers that read the store.
 *
 * A follower is a number: that of the last event it was given. It reads what the store has beyond
 * it, and sleeps while that is nothing. So it cannot miss an event, see one twice, or see them out
 * of order, however slow it is and however many there are; nothing is kept for it in memory. There
 * is one writer, so a number that can be read has all smaller ones before it. */

#include "host/activity.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/host_priv.h"
#include "host/store_people.h"
#include "host/webhooks.h"

#define BATCH_MAX 128     /* events in one transaction */
#define FEED_BATCH_MAX 64 /* that a follower reads at once */

/* --- types --- */

static const struct type {
    const char *word, *noun, *verb; /* "NOUN NAME VERB" is the sentence */
    bool untold;                    /* not told to webhooks */
} types[] = {
    {"vm.created", "VM", "was created"},
    {"vm.started", "VM", "was started"},
    {"vm.stopped", "VM", "has stopped"},
    {"vm.paused", "VM", "was paused"},
    {"vm.suspended", "VM", "was suspended to disk"},
    {"vm.resumed", "VM", "goes on"},
    {"vm.forked", "VM", "was forked"},
    {"vm.updated", "VM", "was changed"},
    {"vm.expired", "VM", "has lived its time"},
    {"vm.idle", "VM", "was idle for its time"},
    {"vm.lost", "VM", "was lost"},
    {"vm.deleted", "VM", "was deleted"},
    {"snapshot.created", "Snapshot", "was created"},
    {"snapshot.renamed", "Snapshot", "has a new name"},
    {"snapshot.deleted", "Snapshot", "was deleted"},
    {"image.created", "Image", "was created"},
    {"image.uploaded", "Image", "was uploaded"},
    {"image.default", "Image", "is the default"},
    {"image.deleted", "Image", "was deleted"},
    {"key.created", "API key", "was created"},
    {"key.revoked", "API key", "was revoked"},
    {"account.created", "Account", "was created"},
    {"account.updated", "Account", "was changed"},
    {"account.deleted", "Account", "was deleted"},
    {"session.login", "", "signed in"},
    {"session.failed", "", "could not sign in"},
    {"session.logout", "", "signed out"},
    {"webhook.created", "Webhook", "was created"},
    {"webhook.updated", "Webhook", "was changed"},
    {"webhook.deleted", "Webhook", "was deleted"},
    {"webhook.failed", "Webhook", "was not told of an event", .untold = true}, /* the last */
};

static const struct type *find_type(const char *word)
{
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        if (strcmp(types[i].word, word) == 0)
            return &types[i];
    }
    return NULL;
}

const char *host_activity_type(size_t index)
{
    return index < ARRAY_SIZE(types) && !types[index].untold ? types[index].word : NULL;
}

bool activity_type_known(const char *type)
{
    return find_type(type) != NULL;
}

bool activity_type_told(const char *type)
{
    const struct type *t = find_type(type);
    return t && !t->untold;
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

/* --- the queue --- */

struct pending {
    struct pending *next;
    int64_t at_ns;
    const char *type; /* of the table */
    char account[ID_SIZE];
    char entity[ID_SIZE];
    char *name, *text, *data;
};

/* How many of an account's were written since it was trimmed; the writer's own. */
struct tally {
    char account[ID_SIZE];
    int n;
};

struct activities {
    struct host *host;
    pthread_t writer;
    bool has_writer;

    pthread_mutex_t lock;   /* leaf; guards everything below, but the tallies */
    pthread_cond_t queued;  /* for the writer */
    pthread_cond_t written; /* for all others */
    struct pending *first, **end;
    int n_pending;
    uint64_t n_noted, n_written; /* since the start */
    int64_t newest;              /* number of the newest that can be read */
    int n_feeds;
    bool stopping; /* followers come to their end */
    bool closing;  /* the writer ends when nothing is left */

    struct tally *tallies;
    size_t n_tallies;
};

static void pending_free(struct pending *p)
{
    if (!p)
        return;
    free(p->name);
    free(p->text);
    free(p->data);
    free(p);
}

DEFINE_AUTO(struct pending *, pending_free)

static char *sentence(const struct type *t, const char *name)
{
    char *ret = NULL;
    bool gap = *t->noun && *name;
    int n = asprintf(&ret, "%s%s%s %s", t->noun, gap ? " " : "", name, t->verb);
    return n < 0 ? NULL : ret;
}

static struct pending *pending_new(const struct activity_note *n)
{
    const struct type *t = find_type(n->type);
    assert(t);
    CLEANUP(pending_freep) struct pending *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->at_ns = clock_real_ns();
    p->type = t->word;
    snprintf(p->account, sizeof(p->account), "%s", n->account);
    snprintf(p->entity, sizeof(p->entity), "%s", n->entity ? n->entity : "");
    p->name = strdup(n->name ? n->name : "");
    p->text = n->text ? strdup(n->text) : p->name ? sentence(t, p->name) : NULL;
    p->data = n->data ? json_dumps(n->data, JSON_COMPACT) : strdup("{}");
    return p->name && p->text && p->data ? TAKE_PTR(p) : NULL;
}

void host_note(struct host *h, const struct activity_note *n)
{
    struct activities *a = h->activities;
    if (!a) /* the parts of a host that a test made by itself */
        return;
    struct pending *p = pending_new(n);
    if (!p) {
        log_error("activity", "type=%s cannot be noted: no memory", n->type);
        return;
    }
    AUTO_LOCK(&a->lock);
    while (a->n_pending >= ACTIVITY_QUEUE_MAX)
        pthread_cond_wait(&a->written, &a->lock);
    *a->end = p;
    a->end = &p->next;
    a->n_pending++;
    a->n_noted++;
    pthread_cond_signal(&a->queued);
}

/* --- the writer --- */

static int tally_add(struct activities *a, const char *account)
{
    for (size_t i = 0; i < a->n_tallies; i++) {
        if (strcmp(a->tallies[i].account, account) == 0)
            return ++a->tallies[i].n;
    }
    struct tally *more = reallocarray(a->tallies, a->n_tallies + 1, sizeof(*more));
    if (!more)
        return ACTIVITY_TRIM_EVERY;
    a->tallies = more;
    memcpy(more[a->n_tallies++].account, account, ID_SIZE);
    /* A former daemon may have left too many. */
    return more[a->n_tallies - 1].n = ACTIVITY_TRIM_EVERY;
}

static void tally_reset(struct activities *a, const char *account)
{
    for (size_t i = 0; i < a->n_tallies; i++) {
        if (strcmp(a->tallies[i].account, account) == 0)
            a->tallies[i].n = 0;
    }
}

static void trim(struct activities *a, const struct pending *p)
{
    static struct log_limit limit;
    struct err e = ERR_INIT;
    if (tally_add(a, p->account) < ACTIVITY_TRIM_EVERY)
        return;
    if (store_activity_trim(a->host->store, p->account, ACTIVITY_KEEP, &e) < 0 &&
        log_limit_pass(&limit))
        log_warn("activity", "account=%s old events stay: %s", p->account, e.text);
    tally_reset(a, p->account);
}

/* Up to BATCH_MAX of the queue, once there are some; NULL: no more will come. */
static struct pending *take_batch(struct activities *a)
{
    AUTO_LOCK(&a->lock);
    while (!a->first && !a->closing)
        pthread_cond_wait(&a->queued, &a->lock);
    struct pending *batch = a->first, **p = &a->first;
    for (int n = 0; *p && n < BATCH_MAX; n++)
        p = &(*p)->next;
    a->first = *p;
    *p = NULL;
    if (!a->first)
        a->end = &a->first;
    return batch;
}

static size_t write_batch(struct activities *a, const struct pending *batch, int64_t *ret_last)
{
    static struct log_limit limit;
    struct activity_row rows[BATCH_MAX];
    struct err e = ERR_INIT;
    size_t n = 0;
    for (const struct pending *p = batch; p; p = p->next)
        rows[n++] = (struct activity_row){p->at_ns, p->account, p->type, p->entity,
                                          p->name,  p->text,    p->data};
    if (store_activity_add(a->host->store, rows, n, ret_last, &e) < 0 && log_limit_pass(&limit))
        log_error("activity", "events=%zu cannot be written: %s", n, e.text);
    return n;
}

static void *write_all(void *arg)
{
    struct activities *a = arg;
    struct pending *batch;
    while ((batch = take_batch(a))) {
        int64_t last = 0;
        size_t n = write_batch(a, batch, &last);
        {
            AUTO_LOCK(&a->lock);
            a->n_pending -= (int)n;
            a->n_written += n;
            a->newest = last ? last : a->newest;
            pthread_cond_broadcast(&a->written);
        }
        webhooks_wake(a->host->webhooks);
        while (batch) {
            struct pending *next = batch->next;
            trim(a, batch);
            pending_free(batch);
            batch = next;
        }
    }
    return NULL;
}

/* --- looking --- */

int64_t activities_newest(struct activities *a)
{
    AUTO_LOCK(&a->lock);
    uint64_t noted = a->n_noted;
    while (a->n_written < noted)
        pthread_cond_wait(&a->written, &a->lock);
    return a->newest;
}

int host_activity_list(struct host *h, const char *account, int64_t before_id, int limit,
                       struct activity_list *ret, struct err *e)
{
    int64_t newest = activities_newest(h->activities);
    const struct activity_query q = {
        .account = account,
        .from = before_id ? before_id : newest + 1,
        .limit = limit < ACTIVITY_LIST_MAX ? limit : ACTIVITY_LIST_MAX,
    };
    return store_activity_list(h->store, &q, ret, e);
}

/* --- followers --- */

struct activity_feed {
    struct activities *all;
    char account[ID_SIZE];      /* "": of all */
    int64_t last_id;            /* the last that was given, or that is none of its */
    struct activity_list batch; /* read and not given yet, from `next` on */
    size_t next;
    bool stopped; /* the set's lock */
};

int host_activity_follow(struct host *h, const char *account, int64_t after_id,
                         struct activity_feed **ret, struct err *e)
{
    struct activities *a = h->activities;
    int64_t newest = activities_newest(a);
    auto_free struct activity_feed *f = calloc(1, sizeof(*f));
    if (!f)
        return err_errno(e, -ENOMEM, "follow what happens");
    f->all = a;
    snprintf(f->account, sizeof(f->account), "%s", account ? account : "");
    /* A number of another database is no reason to wait until ours are as large. */
    f->last_id = after_id < 0 || after_id > newest ? newest : after_id;
    AUTO_LOCK(&a->lock);
    if (a->n_feeds >= ACTIVITY_FOLLOWERS_MAX) {
        int r = err_set(e, ERR_FULL, "%d follow the activity already", ACTIVITY_FOLLOWERS_MAX);
        if (e)
            e->retry_after_s = 10;
        return r;
    }
    a->n_feeds++;
    *ret = TAKE_PTR(f);
    return 0;
}

/* Waits for something beyond the last. 1: there is, up to *ret_newest. */
static int await_newer(struct activity_feed *f, int64_t until_ms, int64_t *ret_newest)
{
    struct activities *a = f->all;
    AUTO_LOCK(&a->lock);
    for (;;) {
        if (f->stopped || a->stopping)
            return -ECANCELED;
        *ret_newest = a->newest;
        if (a->newest > f->last_id)
            return 1;
        if (link_cond_wait(&a->written, &a->lock, until_ms) == -ETIMEDOUT)
            return 0;
    }
}

static int read_newer(struct activity_feed *f, int64_t newest, struct err *e)
{
    const struct activity_query q = {
        .account = f->account[0] ? f->account : NULL,
        .from = f->last_id,
        .after = true,
        .limit = FEED_BATCH_MAX,
    };
    activity_list_done(&f->batch);
    f->next = 0;
    int r = store_activity_list(f->all->host->store, &q, &f->batch, e);
    /* All others up to `newest` are not for it. */
    if (r == 0 && f->batch.n == 0)
        f->last_id = newest;
    return r;
}

int activity_feed_next(struct activity_feed *f, int timeout_ms, struct activity *ret, struct err *e)
{
    int64_t until_ms = clock_mono_ms() + timeout_ms, newest = 0;
    while (f->next == f->batch.n) {
        int r = await_newer(f, until_ms, &newest);
        if (r <= 0)
            return r < 0 ? (err_set(e, ERR_UNAVAILABLE, "it is over"), r) : 0;
        r = read_newer(f, newest, e);
        if (r < 0)
            return r;
    }
    *ret = f->batch.items[f->next];
    f->batch.items[f->next++] = (struct activity){0};
    f->last_id = ret->id;
    return 1;
}

void activity_feed_stop(struct activity_feed *f)
{
    AUTO_LOCK(&f->all->lock);
    f->stopped = true;
    pthread_cond_broadcast(&f->all->written);
}

void activity_feed_close(struct activity_feed *f)
{
    if (!f)
        return;
    {
        AUTO_LOCK(&f->all->lock);
        f->all->n_feeds--;
    }
    activity_list_done(&f->batch);
    free(f);
}

/* --- beginning and end --- */

int activities_new(struct host *h, struct activities **ret, struct err *e)
{
    struct activities *a = calloc(1, sizeof(*a));
    if (!a)
        return err_errno(e, -ENOMEM, "activity");
    a->host = h;
    a->end = &a->first;
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->queued, NULL);
    link_cond_init(&a->written);
    int r = store_activity_newest(h->store, &a->newest, e);
    if (r == 0 && pthread_create(&a->writer, NULL, write_all, a) != 0)
        r = err_set(e, ERR_INTERNAL, "activity: cannot start a thread");
    a->has_writer = r == 0;
    if (r < 0)
        activities_free(a);
    else
        *ret = a;
    return r;
}

void activities_stop(struct activities *a)
{
    AUTO_LOCK(&a->lock);
    a->stopping = true;
    pthread_cond_broadcast(&a->written);
}

void activities_free(struct activities *a)
{
    if (!a)
        return;
    {
        AUTO_LOCK(&a->lock);
        a->closing = true;
        pthread_cond_signal(&a->queued);
    }
    if (a->has_writer)
        pthread_join(a->writer, NULL);
    pthread_cond_destroy(&a->queued);
    pthread_cond_destroy(&a->written);
    pthread_mutex_destroy(&a->lock);
    free(a->tallies);
    free(a);
}
