/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What has happened: one row an event, in the store (the newest ACTIVITY_KEEP of an account), told
 * to whoever follows and to the webhooks. An event is written after what it tells of is done; a
 * failure to write one is logged and fails nothing. Numbers grow by time and have no gaps that a
 * follower could miss. Any thread. */

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

/* The types that there are, by index from 0 (webhooks choose among them); NULL beyond the end. */
const char *host_activity_type(size_t index);

/* Newest first, at most `limit`, of one account or (NULL) of all; before_id 0: from the newest. */
int host_activity_list(struct host *h, const char *account, int64_t before_id, int limit,
                       struct activity_list *ret, struct err *e);

/* Follows what happens, from after `after_id` on (what the store still has of it first); -1: from
 * now on. */
struct activity_feed;
int host_activity_follow(struct host *h, const char *account, int64_t after_id,
                         struct activity_feed **ret, struct err *e);
/* 1 and an event; 0 after `timeout_ms` without one; -ECANCELED after activity_feed_stop or when
 * the host is stopping. One thread. */
int activity_feed_next(struct activity_feed *f, int timeout_ms, struct activity *ret,
                       struct err *e);
void activity_feed_stop(struct activity_feed *f); /* any thread */
void activity_feed_close(struct activity_feed *f);

/* --- for the host's own files --- */

struct store;
struct activities;

/* An event to note. Everything is borrowed; `data` NULL: {}. */
struct activity_note {
    const char *account;
    const char *type;
    const char *entity;
    const char *name;
    json_t *data;
    const char *text; /* NULL: made from type and name */
};
void host_note(struct host *h, const struct activity_note *n);

int activities_new(struct host *h, struct activities **ret, struct err *e);
void activities_stop(struct activities *a); /* followers come to their end */
void activities_free(struct activities *a); /* NULL is fine */
