/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What has happened: one row an event, in the store (the newest ACTIVITY_KEEP of an account, and a
 * few more until somebody looks), told to whoever follows and to the webhooks. Numbers grow by
 * time; who has seen one number has been told of all below it. Any thread.
 *
 * An event is noted when what it tells of is in the store. It is written by a thread of its own, so
 * that nobody who launches a VM waits for it, within milliseconds: a daemon that is killed in that
 * time has done something that the feed does not tell. A failure to write is logged and fails
 * nothing. Of a power cut see store.h. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"

struct host;

/* Types are words of the table in activity.c ("vm.created", "snapshot.deleted", ...). */
#define ACTIVITY_TYPE_SIZE 32

struct activity {
    int64_t id; /* from 1 */
    int64_t at_ns;
    char account[ID_SIZE];
    char type[ACTIVITY_TYPE_SIZE];
    char entity[ID_SIZE]; /* the VM, snapshot, image, key or webhook it is about; "" for none */
    char *name;           /* of that thing, then; owned, never NULL */
    char *text;           /* a sentence for people; owned, never NULL */
    json_t *data;         /* more, an object; owned, never NULL */
};
void activity_done(struct activity *a);

struct activity_list {
    struct activity *items;
    size_t n;
};
void activity_list_done(struct activity_list *l);

/* The types that there are, by index from 0 (webhooks choose among them); NULL beyond the end.
 * "webhook.failed" is not among them: no webhook is told that one was given up. */
const char *host_activity_type(size_t index);

/* Newest first, at most `limit`, of one account or (NULL) of all; before_id 0: from the newest.
 * What was noted before the call is in it. */
int host_activity_list(struct host *h, const char *account, int64_t before_id, int limit,
                       struct activity_list *ret, struct err *e);

/* Follows what happens, from after `after_id` on (what the store still has of it first); -1: from
 * now on. ERR_FULL: ACTIVITY_FOLLOWERS_MAX do already. */
struct activity_feed;
int host_activity_follow(struct host *h, const char *account, int64_t after_id,
                         struct activity_feed **ret, struct err *e);
/* 1 and an event, each once and in order; 0 after `timeout_ms` without one; -ECANCELED after
 * activity_feed_stop or when the host is stopping. One thread. */
int activity_feed_next(struct activity_feed *f, int timeout_ms, struct activity *ret,
                       struct err *e);
void activity_feed_stop(struct activity_feed *f); /* any thread */
void activity_feed_close(struct activity_feed *f);

/* --- for the host's own files --- */

struct store;
struct activities;

/* An event to note. Everything is borrowed. */
struct activity_note {
    const char *account;
    const char *type;
    const char *entity; /* NULL: none */
    const char *name;   /* NULL: "" */
    json_t *data;       /* NULL: {} */
    const char *text;   /* NULL: made from type and name */
};
/* Waits when ACTIVITY_QUEUE_MAX others wait to be written, and for nothing else. */
void host_note(struct host *h, const struct activity_note *n);

int activities_new(struct host *h, struct activities **ret, struct err *e);
void activities_stop(struct activities *a); /* followers come to their end */
void activities_free(struct activities *a); /* what was noted is written first; NULL is fine */

/* The number of the newest event; all that was noted before the call is written. */
int64_t activities_newest(struct activities *a);
bool activity_type_known(const char *type);
/* Whether webhooks are told of it. */
bool activity_type_told(const char *type);
