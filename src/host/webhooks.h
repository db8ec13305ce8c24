/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Webhooks: activity told to URLs of the owner's, by POST with a JSON body.
 *
 * Each event is delivered to each enabled webhook that asks for its type at least once and in
 * order; what was not delivered when the daemon ended is delivered by the next. A delivery that
 * fails (no 2xx within WEBHOOK_TIMEOUT_MS) is tried again after 1, 2, 4 ... 60 s, WEBHOOK_TRIES
 * times in all, then given up and noted. One that waits holds up no other webhook. An admin
 * account's webhooks are told of everybody's events, those of others of their own. What happens
 * before a webhook is made or enabled it is not told.
 *
 * Redirects are not followed, and what is answered is not read but for its status. Headers:
 * X-Holm-Event, the type; X-Holm-Delivery, the event's number, which is the same each time it is
 * tried; X-Holm-Signature: sha256=HEX, HMAC-SHA-256 of the body by the webhook's secret.
 *
 * The daemon connects to wherever the URL says, its own machine and network included: who may make
 * a webhook must be trusted with that. Any thread. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"
#include "host/activity.h"

struct host;

#define WEBHOOK_NAME_SIZE 129
#define WEBHOOK_URL_SIZE 2049
#define WEBHOOK_TYPES_SIZE 1024
#define WEBHOOK_SECRET_SIZE 49

struct webhook_info {
    char id[ID_SIZE];
    char account[ID_SIZE];
    char name[WEBHOOK_NAME_SIZE];
    char url[WEBHOOK_URL_SIZE];     /* http or https */
    char types[WEBHOOK_TYPES_SIZE]; /* words of host_activity_type separated by spaces; "": all */
    char secret[WEBHOOK_SECRET_SIZE];
    bool enabled;
    int64_t created_ns;
    int64_t updated_ns;
    int64_t last_tried_ns; /* 0: never */
    int last_status;       /* HTTP status of the last try; 0: none came */
    char last_error[256];  /* "" when it went well */
    int64_t delivered_id;  /* of the last event that needs no more tries */
};

struct webhook_patch {
    const char *name; /* NULL: as it is, also in what follows */
    const char *url;
    const char *types;
    const bool *enabled;
};

/* Needs name and url; "enabled" is true and "types" "" when they are not given. ERR_FORBIDDEN:
 * there are WEBHOOKS_MAX. */
int host_webhook_create(struct host *h, const char *account, const struct webhook_patch *w,
                        struct webhook_info *ret, struct err *e);
int host_webhook_list(struct host *h, const char *account, struct webhook_info **ret, size_t *ret_n,
                      struct err *e); /* the caller frees */
int host_webhook_get(struct host *h, const char *account, const char *id, struct webhook_info *ret,
                     struct err *e);
int host_webhook_update(struct host *h, const char *account, const char *id,
                        const struct webhook_patch *w, struct webhook_info *ret, struct err *e);
int host_webhook_delete(struct host *h, const char *account, const char *id, struct err *e);

/* How an event is told: the JSON object that is sent, with "webhookId" besides; NULL: no memory.
 * Before it is set nothing is delivered. */
void host_webhooks_tell(struct host *h, json_t *(*event_json)(const struct activity *a),
                        json_t *(*id_json)(const char *id));

/* --- for the host's own files: host->webhooks --- */

struct webhooks;

int webhooks_new(struct host *h, struct webhooks **ret, struct err *e);
void webhooks_drop_of(struct webhooks *w, const char *account); /* which was deleted */
void webhooks_wake(struct webhooks *w); /* there are events; NULL is fine, as above and below */
void webhooks_stop(struct webhooks *w); /* ends its thread */
void webhooks_free(struct webhooks *w); /* after it was stopped */
