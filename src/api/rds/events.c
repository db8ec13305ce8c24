/* SPDX-License-Identifier: Apache-2.0 */

/* What has happened: a list, and Server-Sent Events for those who look on. */

#include "api/rds/events.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/rds/rds.h"
#include "api/stream.h"
#include "api/text.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/limits.h"
#include "host/accounts.h"
#include "host/sessions.h"

#define LIST_DEFAULT 50

/* --- one event --- */

/* What an id of the host is an id of, by the first word of a type and by the members of "meta". */
static const struct {
    const char *word, *prefix;
} kinds[] = {
    {"vm", RDS_VM_PREFIX},       {"forkedFrom", RDS_VM_PREFIX},
    {"children", RDS_VM_PREFIX}, {"snapshot", RDS_SNAPSHOT_PREFIX},
    {"image", RDS_IMAGE_PREFIX},
};

static const char *prefix_of(const char *word, size_t len)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (strlen(kinds[i].word) == len && strncmp(kinds[i].word, word, len) == 0)
            return kinds[i].prefix;
    }
    return NULL;
}

/* A text that is an id becomes one of this dialect; what is none (the name of an image that is
 * built in) stays. */
static json_t *meta_value(const char *prefix, json_t *value)
{
    if (prefix && json_is_string(value) && id_valid(json_string_value(value)))
        return rds_id_json(prefix, json_string_value(value));
    if (!prefix || !json_is_array(value))
        return json_incref(value);
    json_t *list = json_array(), *item;
    size_t i;
    json_array_foreach(value, i, item) json_array_append_new(list, meta_value(prefix, item));
    return list;
}

static json_t *meta_json(json_t *data)
{
    json_t *meta = json_object(), *value;
    const char *key;
    json_object_foreach(data, key, value)
        json_object_set_new(meta, key, meta_value(prefix_of(key, strlen(key)), value));
    return meta;
}

json_t *rds_event_json(const struct activity *a)
{
    size_t len = strcspn(a->type, ".");
    const char *prefix = prefix_of(a->type, len);
    return json_pack("{s:I, s:s, s:o, s:s%, s:o, s:o, s:o, s:o, s:o}", "id", (json_int_t)a->id,
                     "type", a->type, "createdAt", rds_time_json(a->at_ns), "entityType", a->type,
                     len, "entityId", rds_id_json(prefix ? prefix : "", a->entity), "name",
                     text_json(a->name, strlen(a->name)), "message",
                     text_json(a->text, strlen(a->text)), "meta", meta_json(a->data), "accountId",
                     rds_id_json("", a->account));
}

json_t *rds_webhook_id_json(const char *id)
{
    return rds_id_json("", id);
}

const struct field rds_event_fields[] = {
    {"id", FIELD_INTEGER, FIELD_REQUIRED, .min = 1, .max = INT64_MAX, .doc = "Grows by time"},
    {"type", FIELD_TEXT, FIELD_REQUIRED, .doc = "vm.created, snapshot.deleted, ..."},
    {"createdAt", FIELD_TEXT, FIELD_REQUIRED, .doc = "When it happened"},
    {"entityType", FIELD_TEXT, FIELD_REQUIRED, .doc = "The type's first word"},
    {"entityId", FIELD_TEXT, FIELD_REQUIRED | FIELD_NULLABLE, .doc = "What it is about"},
    {"name", FIELD_TEXT, FIELD_REQUIRED, .doc = "Of that, at the time"},
    {"message", FIELD_TEXT, FIELD_REQUIRED, .doc = "A sentence for people"},
    {"meta", FIELD_JSON, FIELD_REQUIRED, .doc = "More about it: an object"},
    {"accountId", FIELD_TEXT, FIELD_REQUIRED | FIELD_NULLABLE, .doc = "Whose it is"},
    {0},
};

/* --- GET /v1/admin/activity --- */

struct activity_query_in {
    int64_t limit, before;
};

static const struct activity_query_in list_defaults = {.limit = LIST_DEFAULT};

static const struct field list_query[] = {
    {"limit", FIELD_INTEGER, 0, offsetof(struct activity_query_in, limit), .min = 1,
     .max = ACTIVITY_LIST_MAX, .doc = "How many; 50 when it is not given"},
    {"before", FIELD_INTEGER, 0, offsetof(struct activity_query_in, before), .min = 1,
     .max = INT64_MAX, .doc = "Only those before this one's id"},
    {0},
};

static int list(struct request *rq, struct answer *ret, struct err *e)
{
    const struct activity_query_in *q = rq->query.data;
    CLEANUP(activity_list_done) struct activity_list events = {0};
    int r = host_activity_list(rq->host, NULL, q->before, (int)q->limit, &events, e);
    if (r < 0)
        return r;
    ret->json = json_array();
    for (size_t i = 0; i < events.n; i++)
        json_array_append_new(ret->json, rds_event_json(&events.items[i]));
    return ret->json ? 0 : -ENOMEM;
}

/* --- GET /v1/admin/events --- */

struct events_query {
    int64_t after;
};

static const struct events_query events_defaults = {.after = -1};

static const struct field events_query[] = {
    {"after", FIELD_INTEGER, 0, offsetof(struct events_query, after), .min = 0, .max = INT64_MAX,
     .doc = "Go on after the event with this id, as the header Last-Event-ID says too"},
    {0},
};

static int send_event(struct stream *s, const struct activity *a)
{
    auto_buf struct buf text = {0};
    json_t *o = rds_event_json(a);
    char *data = o ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    if (data)
        buf_printf(&text, "event: activity\nid: %lld\ndata: %s\n\n", (long long)a->id, data);
    free(data);
    return text.len && !text.failed ? stream_write(s, text.data, text.len) : -ENOMEM;
}

static int send_text(struct stream *s, const char *text)
{
    return stream_write(s, text, strlen(text));
}

/* Who looks on, and by which right: it may end before the answer does. */
struct follower {
    struct host *host;
    struct activity_feed *feed;
    char session[sizeof(((struct request *)0)->session)]; /* "": by the key */
    char key[KEY_CONFIGURED_MAX_BYTES + 1];
};

static bool may_follow(const struct follower *f)
{
    char account[ID_SIZE];
    bool is_admin = false;
    struct session_info s;
    if (f->session[0])
        return host_session(f->host, f->session, &s, NULL) == 0 && s.admin;
    return host_key_account(f->host, f->key, account, &is_admin, NULL) == 0 && is_admin;
}

/* Until the client has gone, may see it no longer, or the daemon ends: then the answer just ends,
 * and the client comes back with the number of its last event. */
static int tell(struct stream *s, void *arg, struct err *e)
{
    struct follower *f = arg;
    int64_t ping_ms = clock_mono_ms() + SSE_PING_INTERVAL_MS;
    int r = send_text(s, "retry: 2000\n\n");
    while (r >= 0 && !stream_cancelled(s)) {
        struct activity a = {0};
        r = activity_feed_next(f->feed, STREAM_ASK_INTERVAL_MS, &a, e);
        bool is_over = !may_follow(f);
        if (r > 0 && !is_over)
            r = send_event(s, &a);
        activity_done(&a);
        if (is_over)
            return 0;
        if (r < 0 || clock_mono_ms() < ping_ms)
            continue;
        r = send_text(s, ": ping\n\n");
        ping_ms = clock_mono_ms() + SSE_PING_INTERVAL_MS;
    }
    return r == -ECANCELED || r > 0 ? 0 : r;
}

static json_t *no_line(const struct err *e)
{
    return NULL;
}

static void follower_free(void *arg)
{
    struct follower *f = arg;
    if (!f)
        return;
    activity_feed_close(f->feed);
    explicit_bzero(f, sizeof(*f));
    free(f);
}

/* What is no number is as good as nothing, as everywhere in that protocol. */
static int64_t last_seen(const struct request *rq)
{
    const struct events_query *q = rq->query.data;
    const char *header = request_header(rq, "Last-Event-ID");
    char *end = NULL;
    errno = 0;
    long long n = header && *header ? strtoll(header, &end, 10) : -1;
    return header && *header && !*end && !errno && n >= 0 ? n : q->after;
}

static int follow(struct request *rq, struct answer *ret, struct err *e)
{
    struct follower *f = calloc(1, sizeof(*f));
    if (!f)
        return err_errno(e, -ENOMEM, "follow what happens");
    const char *key = request_key(rq);
    f->host = rq->host;
    snprintf(f->session, sizeof(f->session), "%s", rq->session);
    snprintf(f->key, sizeof(f->key), "%s", key && !f->session[0] ? key : "");
    int r = host_activity_follow(rq->host, NULL, last_seen(rq), &f->feed, e);
    if (r < 0) {
        follower_free(f);
        return r;
    }
    const struct stream_job job = {
        .run = tell, .error_line = no_line, .free = follower_free, .arg = f};
    r = stream_start(rq, &job, ret, e);
    if (r < 0)
        return r;
    ret->content_type = "text/event-stream";
    answer_header(ret, "X-Accel-Buffering", "no"); /* a proxy is not to wait for more */
    return 0;
}

const struct route rds_event_routes[] = {
    {
        RDS_ROW(GET, "/rds/v1/admin/activity", "rdsListActivity"),
        .handler = list,
        .query = list_query,
        .query_bytes = sizeof(struct activity_query_in),
        .query_defaults = &list_defaults,
        .response = rds_event_fields,
        .flags = ROUTE_ACCOUNT | ROUTE_ADMIN | ROUTE_LIST,
        .doc = "What has happened, newest first",
    },
    {
        RDS_ROW(GET, "/rds/v1/admin/events", "rdsFollowActivity"),
        .handler = follow,
        .query = events_query,
        .query_bytes = sizeof(struct events_query),
        .query_defaults = &events_defaults,
        .content_type = "text/event-stream",
        .flags = ROUTE_ACCOUNT | ROUTE_ADMIN,
        .doc = "What happens, as Server-Sent Events: `event: activity`, `id`, `data` (an event)",
    },
    {0},
};
