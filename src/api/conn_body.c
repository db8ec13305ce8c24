/* SPDX-License-Identifier: Apache-2.0 */

/* Bodies of requests: kept until they are complete and then decoded, or handed on piece by piece to
 * an upload, or dropped. */

#include <errno.h>
#include <string.h>

#include "api/conn.h"
#include "base/clock.h"

/* Bodies of all connections together are bounded: what one may send, all must not. */
static int charge(struct conn *cn, size_t n, struct err *e)
{
    struct server *s = cn->listener->server;
    cn->charged_bytes += n;
    if (atomic_fetch_add(&s->bodies_bytes, n) + n <= s->config.bodies_max_bytes)
        return 0;
    return err_set(e, ERR_FULL, "too many large requests at this moment");
}

static int keep(struct conn *cn, const char *data, size_t n, struct err *e)
{
    int r = charge(cn, n, e);
    if (r < 0)
        return r;
    cn->body.max_bytes = HTTP_BODY_MAX_BYTES;
    r = buf_append(&cn->body, data, n);
    if (r == -E2BIG)
        return conn_too_large(cn, e);
    return r < 0 ? err_errno(e, r, "read the request body") : 0;
}

static void set_idle_timeout(struct conn *cn, unsigned seconds)
{
    MHD_set_connection_option(cn->rq.connection, MHD_CONNECTION_OPTION_TIMEOUT, seconds);
}

static void end_upload(struct conn *cn)
{
    struct upload u = cn->upload;
    cn->upload = (struct upload){0};
    if (!u.write)
        return;
    if (u.free)
        u.free(u.arg);
    set_idle_timeout(cn, cn->listener->server->config.idle_timeout_s);
}

int conn_begin_upload(struct conn *cn, struct err *e)
{
    conn_set_phase(cn, CONN_HANDLE, 0);
    int r = cn->rq.route->upload(&cn->rq, &cn->upload, e);
    conn_set_phase(cn, CONN_RECEIVE, clock_mono_ms());
    if (r < 0)
        return e->class == ERR_NONE ? err_errno(e, r, "%s", cn->rq.route->operation) : r;
    /* The library would count the time that write() takes as the client's. */
    set_idle_timeout(cn, 0);
    return 0;
}

/* Bytes buy time, up to the request's timeout: a client may pause for that long, but not trickle.
 */
static int64_t earn(const struct conn *cn, size_t n)
{
    int64_t left = atomic_load_explicit(&cn->deadline_ms, memory_order_relaxed) - clock_mono_ms() +
                   (int64_t)n * 1000 / HTTP_UPLOAD_PACE_MIN_BYTES;
    int64_t most = (int64_t)cn->listener->server->config.request_timeout_s * 1000;
    return left < most ? left : most;
}

static int hand_on(struct conn *cn, const char *data, size_t n, struct err *e)
{
    int64_t left_ms = earn(cn, n);
    conn_set_phase(cn, CONN_HANDLE, 0);
    int r = cn->upload.write(cn->upload.arg, data, n, e);
    if (r < 0 && e->class == ERR_NONE)
        err_errno(e, r, "%s", cn->rq.route->operation);
    atomic_store_explicit(&cn->deadline_ms, clock_mono_ms() + left_ms, memory_order_relaxed);
    return r;
}

/* More is to come than will be read away, or nobody knows how much: the client is told now, or it
 * would only see its connection cut. */
static bool is_endless(const struct conn *cn)
{
    return cn->framing.is_chunked ||
           cn->framing.length - cn->body_bytes > HTTP_DRAIN_MAX_BYTES - cn->dropped_bytes;
}

enum MHD_Result conn_receive(struct conn *cn, const char *data, size_t len)
{
    const struct route *row = cn->rq.route;
    cn->body_bytes += len;
    if (cn->err.class != ERR_NONE || !row || (!row->request && !cn->upload.write)) {
        cn->dropped_bytes += len;
        return cn->dropped_bytes > HTTP_DRAIN_MAX_BYTES ? MHD_NO : MHD_YES;
    }
    bool is_upload = cn->upload.write;
    int r = is_upload ? hand_on(cn, data, len, &cn->err) : keep(cn, data, len, &cn->err);
    if (r == 0)
        return MHD_YES;
    end_upload(cn);
    buf_done(&cn->body);
    if (is_upload && is_endless(cn))
        conn_send_at_once(cn);
    return MHD_YES;
}

int conn_decode_body(struct conn *cn, struct err *e)
{
    const struct route *row = cn->rq.route;
    const struct input_shape shape = {"field", row->request, row->input_bytes, row->input_defaults,
                                      row->dialect->is_open};
    json_t *json = NULL;
    if (!cn->body.len && row->flags & ROUTE_BODY_OPTIONAL) {
        json = json_object();
        if (!json)
            return -ENOMEM;
        return input_decode(&cn->rq.input, json, &shape, e);
    }
    if (!cn->body.len)
        return err_set(e, ERR_INVALID, "the request body is empty, but a JSON object is needed");
    int r = decode_json(cn->body.data, cn->body.len, &json, e);
    if (r < 0)
        return r;
    buf_done(&cn->body);
    return input_decode(&cn->rq.input, json, &shape, e);
}

void conn_drop_body(struct conn *cn)
{
    end_upload(cn);
    input_done(&cn->rq.input);
    input_done(&cn->rq.query);
    if (!cn->charged_bytes)
        return;
    atomic_fetch_sub(&cn->listener->server->bodies_bytes, cn->charged_bytes);
    cn->charged_bytes = 0;
    buf_done(&cn->body);
}
