/* SPDX-License-Identifier: Apache-2.0 */

/* Requests to an agent, and distrust of its answers. */
#include "host/guest.h"

#include <errno.h>
#include <poll.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/limits.h"
#include "host/guest_priv.h"
#include "wire/field.h"

#define ENTROPY_BYTES 64
#define FS_BLOCK_MAX_BYTES (64 * 1024) /* a file system has whole blocks */
#define GROW_AGAIN_MS 10
#define AGENT_TEXT_MAX_BYTES 300

/* --- what went wrong --- */

static enum err_class class_of(int status)
{
    switch (status) {
    case 400:
        return ERR_INVALID;
    case 404:
        return ERR_NOT_FOUND;
    case 409:
        return ERR_CONFLICT;
    case 413:
    case 507:
        return ERR_TOO_LARGE;
    default:
        return ERR_UNAVAILABLE;
    }
}

/* The agent's sentence, fit to be shown: bounded, not cut inside a character, no control bytes. */
static void agent_text(const struct buf *answer, char ret[AGENT_TEXT_MAX_BYTES + 1])
{
    auto_json json_t *obj = NULL;
    const char *text = NULL;
    if (field_parse(buf_str(answer), answer->len, &obj, NULL) == 0)
        field_str(obj, "error", FIELD_OPTIONAL, AGENT_REPORT_MAX_BYTES, &text, NULL);
    size_t n = text ? strnlen(text, AGENT_TEXT_MAX_BYTES + 1) : 0;
    if (n > AGENT_TEXT_MAX_BYTES) {
        n = AGENT_TEXT_MAX_BYTES;
        while (n && ((unsigned char)text[n] & 0xc0) == 0x80)
            n--;
    }
    for (size_t i = 0; i < n; i++)
        ret[i] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i];
    ret[n] = '\0';
}

int guest_check(const struct link_request *rq, int expected, struct err *e)
{
    if (rq->status == expected)
        return 0;
    char text[AGENT_TEXT_MAX_BYTES + 1];
    agent_text(&rq->answer, text);
    if (rq->status >= 400 && text[0])
        return err_set(e, class_of(rq->status), "%s", text);
    return err_set(e, class_of(rq->status), "the agent answered %d", rq->status);
}

int guest_nonsense(struct err *e)
{
    char text[AGENT_TEXT_MAX_BYTES];
    snprintf(text, sizeof(text), "%.*s", (int)sizeof(text) - 1, e ? e->text : "");
    return err_set(e, ERR_UNAVAILABLE, "the agent's answer makes no sense: %s", text);
}

/* --- plain requests --- */

int guest_simple(struct link *l, const struct guest_simple *s, struct buf *ret, struct err *e)
{
    struct iovec v = {0};
    struct link_request rq = {.method = s->method, .path = s->path};
    if (s->body) {
        v = (struct iovec){.iov_base = s->body->data, .iov_len = s->body->len};
        rq.body = &v;
        rq.n_body = 1;
    }
    if (ret)
        rq.answer = *ret;
    int r = link_run(l, &rq, 1, s->wait, e);
    if (r == 0)
        r = guest_check(&rq, s->expected, e);
    if (ret)
        *ret = rq.answer;
    else
        buf_done(&rq.answer);
    return r;
}

static int get_report(struct link *l, const struct guest_simple *s, struct agent_report *ret,
                      struct err *e)
{
    auto_buf struct buf answer = {.max_bytes = AGENT_REPORT_MAX_BYTES};
    int r = guest_simple(l, s, &answer, e);
    if (r < 0)
        return r;
    r = report_decode(buf_str(&answer), answer.len, ret, e);
    return r < 0 ? guest_nonsense(e) : 0;
}

int guest_wait_ready(struct link *l, int64_t deadline_ms, struct agent_report *ret, struct err *e)
{
    struct agent_report report;
    struct link_wait w = {.deadline_ms = deadline_ms};
    struct guest_simple s = {"GET", "/v1/ready", NULL, &w, 200};
    int r = get_report(l, &s, &report, e);
    if (r == 0 && ret)
        *ret = report;
    return r;
}

static int check_restored(const struct agent_report *report, int64_t told_ns, struct err *e)
{
    const int64_t slack_ns = AGENT_CLOCK_SLACK_MS * INT64_C(1000000);
    if (!report->reseeded)
        return err_set(e, ERR_UNAVAILABLE,
                       "the agent could not reseed the guest's random generator");
    if (report->real_time_ns < told_ns - slack_ns ||
        report->real_time_ns > clock_real_ns() + slack_ns)
        return err_set(e, ERR_UNAVAILABLE,
                       "the agent could not set the guest's clock: told %lld ms, now it is %lld",
                       (long long)((report->real_time_ns - told_ns) / 1000000),
                       (long long)((clock_real_ns() - told_ns) / 1000000));
    return 0;
}

static int set_identity(struct restored_request *rq, const struct guest_identity *who,
                        struct err *e)
{
    if (who->id && !report_id_is_valid(who->id))
        return err_field(e, "id", "no VM can have this id");
    if (who->hostname && !report_hostname_is_valid(who->hostname))
        return err_field(e, "hostname", "no VM can have this host name");
    rq->keep = who->keep;
    snprintf(rq->id, sizeof(rq->id), "%s", who->id ? who->id : "");
    snprintf(rq->hostname, sizeof(rq->hostname), "%s", who->hostname ? who->hostname : "");
    return 0;
}

int guest_restored(struct link *l, const struct link_wait *w, const struct guest_identity *who,
                   struct agent_report *ret, struct err *e)
{
    /* The time is taken when the agent is there to hear it, not before it woke up. */
    int r = link_wait_open(l, w, e);
    if (r < 0)
        return r;
    struct restored_request rq = {.entropy_len = ENTROPY_BYTES};
    r = who ? set_identity(&rq, who, e) : 0;
    if (r < 0)
        return r;
    id_random(rq.entropy, ENTROPY_BYTES);
    auto_buf struct buf body = {0};
    const int64_t behind_ns = who ? who->behind_s * INT64_C(1000000000) : 0;
    rq.real_time_ns = clock_real_ns() - behind_ns;
    r = report_restored_encode(&rq, &body);
    if (r < 0)
        return err_errno(e, r, "encode a request to the agent");
    struct agent_report report;
    struct guest_simple s = {"POST", "/v1/restored", &body, w, 200};
    r = get_report(l, &s, &report, e);
    if (r == 0)
        r = check_restored(&report, rq.real_time_ns, e);
    if (r == 0 && ret)
        *ret = report;
    return r;
}

int guest_sync(struct link *l, int64_t deadline_ms, struct err *e)
{
    struct link_wait w = {.deadline_ms = deadline_ms};
    struct guest_simple s = {"POST", "/v1/sync", NULL, &w, 200};
    return guest_simple(l, &s, NULL, e);
}

int guest_power(struct link *l, bool reboot, int64_t deadline_ms, struct err *e)
{
    auto_buf struct buf body = {0};
    int r = buf_printf(&body, "{\"action\": \"%s\"}", reboot ? "reboot" : "off");
    if (r < 0)
        return err_errno(e, r, "encode a request to the agent");
    struct link_wait w = {.deadline_ms = deadline_ms};
    struct guest_simple s = {"POST", "/v1/power", &body, &w, 200};
    return guest_simple(l, &s, NULL, e);
}

static int grow_once(struct link *l, int64_t deadline_ms, int64_t *ret_bytes, struct err *e)
{
    static const struct field_range size_range = {1, INT64_MAX};
    auto_buf struct buf answer = {.max_bytes = AGENT_REPORT_MAX_BYTES};
    auto_json json_t *obj = NULL;
    struct link_wait w = {.deadline_ms = deadline_ms};
    struct guest_simple s = {"POST", "/v1/grow", NULL, &w, 200};
    int r = guest_simple(l, &s, &answer, e);
    if (r < 0)
        return r;
    r = field_parse(buf_str(&answer), answer.len, &obj, e);
    r = r < 0 ? r : field_int(obj, "bytes", FIELD_REQUIRED, size_range, ret_bytes, e);
    return r < 0 ? guest_nonsense(e) : 0;
}

/* A disk's new size reaches the guest's kernel by an interrupt, and the request may be faster: then
 * the file system fills the disk as it was. */
int guest_grow(struct link *l, int64_t disk_bytes, int64_t deadline_ms, struct err *e)
{
    int64_t bytes = 0;
    for (;;) {
        int r = grow_once(l, deadline_ms, &bytes, e);
        if (r < 0 || bytes > disk_bytes - FS_BLOCK_MAX_BYTES)
            return r;
        if (clock_mono_ms() + GROW_AGAIN_MS > deadline_ms)
            return err_set(e, ERR_TIMEOUT, "the guest does not see that its disk has grown");
        poll(NULL, 0, GROW_AGAIN_MS);
    }
}
