/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Webhooks from the inside: webhooks.c has the set and what is asked of it, webhooks_send.c the
 * thread that delivers. */

#include <curl/curl.h>
#include <pthread.h>

#include "base/buf.h"
#include "host/webhooks.h"

/* What the thread is about to deliver; the thread's own. */
struct delivery {
    struct webhook_info to; /* a copy, as of `version` */
    unsigned version;
    bool has_copy;
    int64_t cursor; /* events up to this one are none of its, or done */
    bool has_event;
    struct activity event;
    struct buf body;
    int tries;
    int64_t next_ms; /* not before */
    CURL *easy;      /* under way; NULL: none is */
    struct curl_slist *headers;
    size_t answer_bytes;
};

struct hook {
    struct hook *next;        /* only the thread unlinks */
    struct webhook_info info; /* the set's lock */
    unsigned version;         /* likewise: grows when what is delivered has changed */
    bool gone;                /* likewise: deleted; the thread frees it */
    struct delivery delivery;
};

struct webhooks {
    struct host *host;
    json_t *(*event_json)(const struct activity *a); /* the lock */
    json_t *(*id_json)(const char *id);
    int wait_ms; /* after the first try; tests have less patience, as with the next */
    int timeout_ms;
    CURLM *multi; /* the thread's own, but for wake-ups */
    pthread_t thread;
    bool has_thread;

    pthread_mutex_t change; /* serialises changes; taken before `lock`, held over the store */
    pthread_mutex_t lock;   /* leaf; guards the list and what it says above */
    struct hook *first, **end;
    bool stopping;
};

/* Changes what is remembered of a hook: `edit` gets a copy, which is stored, and then counts. */
int webhooks_edit(struct webhooks *w, struct hook *hook,
                  void (*edit)(struct webhook_info *info, const void *arg), const void *arg,
                  struct err *e);
void *webhooks_deliver(void *arg);
/* What a delivery holds. */
void webhooks_drop_delivery(struct webhooks *w, struct delivery *d);
