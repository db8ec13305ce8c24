/* SPDX-License-Identifier: Apache-2.0 */

/* Requests to an agent whose bodies are streams: files of any size, connections. */
#include <errno.h>
#include <inttypes.h>

#include "base/limits.h"
#include "host/guest.h"
#include "host/guest_priv.h"

DEFINE_AUTO(struct link_stream *, link_stream_free)

int guest_check_stream(struct link_stream *s, int expected, const struct link_wait *w,
                       struct err *e)
{
    struct link_request rq = {.answer.max_bytes = AGENT_REPORT_MAX_BYTES};
    int r = link_stream_status(s, w, &rq.status, e);
    if (r < 0 || rq.status == expected)
        return r;
    /* What is too long or does not come is not worth a second error. */
    char piece[4096];
    ssize_t n;
    while ((n = link_stream_read(s, piece, sizeof(piece), w, NULL)) > 0)
        if (buf_append(&rq.answer, piece, (size_t)n) < 0)
            break;
    r = guest_check(&rq, expected, e);
    buf_done(&rq.answer);
    return r;
}

int guest_open_stream(struct link *l, const struct link_head *head, const struct link_wait *w,
                      struct link_stream **ret, struct err *e)
{
    CLEANUP(link_stream_freep) struct link_stream *s = NULL;
    int r = link_stream_open(l, head, w, &s, e);
    r = r < 0 ? r : guest_check_stream(s, 200, w, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(s);
    return 0;
}

int guest_open_read(struct link *l, const struct guest_range *g, const struct link_wait *w,
                    struct link_stream **ret, struct err *e)
{
    auto_buf struct buf url = {0};
    int r = guest_url(&url, "/v1/files?path=", g->path, e);
    if (r < 0)
        return r;
    if (g->offset)
        buf_printf(&url, "&offset=%" PRId64, g->offset);
    if (g->length >= 0)
        buf_printf(&url, "&length=%" PRId64, g->length);
    if (url.failed)
        return err_errno(e, -ENOMEM, "encode a request to the agent");
    struct link_head head = {.method = "GET", .path = buf_str(&url)};
    return guest_open_stream(l, &head, w, ret, e);
}

int guest_open_write(struct link *l, const struct guest_file *f, const struct link_wait *w,
                     struct link_stream **ret, struct err *e)
{
    struct guest_put put = {0};
    struct link_request rq = {0};
    int r = guest_put_init(&put, f, &rq, e);
    if (r == 0) {
        struct link_head head = {.method = rq.method, .path = rq.path, .has_body = true};
        r = link_stream_open(l, &head, w, ret, e);
    }
    buf_done(&put.url);
    return r;
}

int guest_finish_write(struct link_stream *s, const struct link_wait *w, struct err *e)
{
    return guest_check_stream(s, 201, w, e);
}

int guest_open_pack(struct link *l, const struct guest_tree *t, const struct link_wait *w,
                    struct link_stream **ret, struct err *e)
{
    auto_buf struct buf url = {0};
    int r = guest_tree_url(&url, t, e);
    if (r < 0)
        return r;
    struct link_head head = {.method = "GET", .path = buf_str(&url)};
    return guest_open_stream(l, &head, w, ret, e);
}

int guest_open_unpack(struct link *l, const struct guest_tree *t, const struct link_wait *w,
                      struct link_stream **ret, struct err *e)
{
    auto_buf struct buf url = {0};
    int r = guest_tree_url(&url, t, e);
    if (r < 0)
        return r;
    if (buf_printf(&url, "&uid=%" PRIu32 "&gid=%" PRIu32, t->uid, t->gid) < 0)
        return err_errno(e, -ENOMEM, "encode a request to the agent");
    struct link_head head = {.method = "PUT", .path = buf_str(&url), .has_body = true};
    return link_stream_open(l, &head, w, ret, e);
}

int guest_accept(struct link *l, const char *address, int port, const struct link_wait *w,
                 struct link_stream **ret, struct err *e)
{
    auto_buf struct buf url = {0};
    int r = guest_url(&url, "/v1/accept?address=", address ? address : "127.0.0.1", e);
    if (r < 0)
        return r;
    if (buf_printf(&url, "&port=%d", port) < 0)
        return err_errno(e, -ENOMEM, "encode a request to the agent");
    struct link_head head = {.method = "POST", .path = buf_str(&url), .has_body = true};
    return guest_open_stream(l, &head, w, ret, e);
}
