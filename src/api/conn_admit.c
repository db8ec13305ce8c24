/* SPDX-License-Identifier: Apache-2.0 */

/* What a request's headers decide: the row, who may call it, parameters of path and query, whether
 * its body can be taken. */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/conn.h"
#include "api/mount.h"
#include "api/query.h"
#include "api/text.h"
#include "base/clock.h"

static enum MHD_Result note_framing(void *cls, enum MHD_ValueKind kind, const char *key,
                                    const char *value)
{
    struct framing *f = cls;
    if (strcasecmp(key, "Content-Length") == 0) {
        f->n_claims++;
        f->length = strtoull(value, NULL, 10);
    } else if (strcasecmp(key, "Transfer-Encoding") == 0) {
        f->n_claims++;
        f->is_chunked = strcasecmp(value, "chunked") == 0;
        f->is_unknown_encoding = !f->is_chunked;
    }
    return MHD_YES;
}

static bool is_ambiguous(const struct framing *f)
{
    return f->n_claims > 1 || f->is_unknown_encoding;
}

static int refuse_path(const struct conn *cn, const char *path, const char *row_path, struct err *e)
{
    const struct route *near = route_nearest(row_path);
    char near_path[MOUNT_PATH_SIZE];
    if (!near)
        return err_set(e, ERR_NOT_FOUND, "there is nothing at %.200s (GET / lists all paths)",
                       path);
    mount_path(cn->rq.mount, near, near_path);
    return err_set(e, ERR_NOT_FOUND,
                   "there is nothing at %.200s; did you mean %s? (GET / lists all paths)", path,
                   near_path);
}

static int refuse_method(const struct conn *cn, const char *path, struct err *e)
{
    const char *use = "";
    for (int m = ROUTE_METHOD_COUNT; m--;)
        use = cn->match.by_method[m] ? route_method_name((enum route_method)m) : use;
    return err_set(e, ERR_METHOD, "%.20s is not allowed for %.200s: use %s", cn->method, path, use);
}

/* Whether any of the rows that were found is of this dialect. */
static bool is_of(const struct route_match *m, const struct dialect *d)
{
    for (int i = 0; i < ROUTE_METHOD_COUNT; i++) {
        if (m->by_method[i] && m->by_method[i]->dialect == d)
            return true;
    }
    return false;
}

/* Fills match and what it is said with. */
static int find_path(struct conn *cn, const char *path, struct err *e)
{
    struct mount_target t;
    int r = mount_resolve(cn->rq.mount, path, &cn->row_path, &t);
    if (r < 0)
        return err_errno(e, r, "find the path");
    cn->dialect = t.words;
    cn->rq.behind = t.behind;
    if (route_find(cn->listener->server->routes, t.path, &cn->match) &&
        (!t.only || is_of(&cn->match, t.only)))
        return 0;
    cn->match = (struct route_match){0};
    return refuse_path(cn, path, t.path, e);
}

/* Fills rq.route; the row may be NULL without an error for OPTIONS. */
static int find_route(struct conn *cn, const char *path, struct err *e)
{
    int r = find_path(cn, path, e);
    if (r < 0)
        return r;
    cn->is_options = strcmp(cn->method, "OPTIONS") == 0;
    cn->rq.is_head = strcmp(cn->method, "HEAD") == 0;
    const char *method = cn->rq.is_head ? "GET" : cn->method;
    for (int m = 0; m < ROUTE_METHOD_COUNT; m++) {
        const struct route *row = cn->match.by_method[m];
        if (!row)
            continue;
        cn->dialect = row->dialect;
        if (strcmp(method, route_method_name((enum route_method)m)) == 0) {
            cn->rq.route = row;
            cn->row = cn->match.index[m];
            return 0;
        }
    }
    return cn->is_options ? 0 : refuse_method(cn, path, e);
}

static int decode_params(struct conn *cn, struct err *e)
{
    for (size_t i = 0; i < ROUTE_PARAMS_MAX; i++) {
        cn->rq.params[i][0] = '\0';
        if (!cn->match.params[i].start)
            continue;
        int r = text_percent_decode(cn->match.params[i].start, cn->match.params[i].len,
                                    cn->rq.params[i], sizeof(cn->rq.params[i]));
        if (r < 0)
            return err_set(e, ERR_INVALID,
                           "the path has a broken %%-escape, is not UTF-8, or has a part of more "
                           "than %d bytes",
                           HTTP_PATH_PARAM_MAX_BYTES - 1);
    }
    return 0;
}

static int decode_query(struct conn *cn, const struct route *row, struct err *e)
{
    const struct input_shape shape = {"parameter", row->query, row->query_bytes,
                                      row->query_defaults, row->dialect->is_open};
    return query_decode(cn->rq.raw_query, &shape, &cn->rq.query, e);
}

int conn_too_large(const struct conn *cn, struct err *e)
{
    if (cn->dialect->body_too_large)
        return err_set(e, ERR_TOO_LARGE, "%s", cn->dialect->body_too_large);
    return err_set(e, ERR_TOO_LARGE, "the request body is larger than %llu bytes",
                   (unsigned long long)HTTP_BODY_MAX_BYTES);
}

static int check_framing(const struct conn *cn, struct err *e)
{
    const struct framing *f = &cn->framing;
    if (is_ambiguous(f))
        return err_set(e, ERR_INVALID,
                       "the length of the body is not clear: send one Content-Length, or "
                       "Transfer-Encoding: chunked alone");
    bool is_upload = cn->rq.route && cn->rq.route->upload;
    return f->length > HTTP_BODY_MAX_BYTES && !is_upload ? conn_too_large(cn, e) : 0;
}

static int check_content_type(const struct conn *cn, struct err *e)
{
    if ((!cn->framing.length && !cn->framing.is_chunked) ||
        request_content_is(&cn->rq, "application/json"))
        return 0;
    const char *type = request_header(&cn->rq, "Content-Type");
    return err_set(e, ERR_UNSUPPORTED,
                   "Content-Type is %.100s, but a JSON body is needed: add the header "
                   "\"Content-Type: application/json\" (with curl: -H 'Content-Type: "
                   "application/json')",
                   type ? type : "missing");
}

/* "http://host/path" is what a proxy is asked for; servers are to accept it. */
static const char *path_of(const char *url)
{
    if (strncasecmp(url, "http://", 7) != 0)
        return url;
    const char *slash = strchr(url + 7, '/');
    return slash ? slash : "/";
}

static int check_room(const struct conn *cn, struct err *e)
{
    const struct server *s = cn->listener->server;
    if (atomic_load_explicit(&s->quiescing, memory_order_relaxed))
        return err_set(e, ERR_FULL, "the daemon is shutting down");
    if (cn->is_spare)
        return err_set(e, ERR_FULL, "too many connections: this listener has %u already",
                       s->config.connections_max);
    return 0;
}

/* Before anything of the request is looked at that costs time. */
static int check_rate(const struct conn *cn, struct err *e)
{
    struct rate *rate = cn->listener->server->rate;
    const struct request *rq = &cn->rq;
    struct rate_refusal no;
    const char *caller = *rq->account ? rq->account : rq->peer;
    if (!rate || rate_take(rate, caller, cn->row, clock_mono_ms(), &no) == 0)
        return 0;
    int r = err_set(e, ERR_RATE,
                    "too many requests: %s answers %d of them a minute; try again in %d second%s",
                    no.is_of_row ? "this path" : "this API", no.per_min, no.retry_after_s,
                    no.retry_after_s == 1 ? "" : "s");
    e->retry_after_s = no.retry_after_s;
    return r;
}

/* What the dashboard has there: a path that is no row's; and at "/", where programs get a list. */
static void find_web(struct conn *cn, const char *path, bool is_row)
{
    bool is_get = strcmp(cn->method, "GET") == 0 || strcmp(cn->method, "HEAD") == 0;
    if (!is_get || (is_row && strcmp(path, "/") != 0) || cn->listener->trust == LISTENER_GUESTS)
        return;
    bool accepts_html = request_accepts(&cn->rq, "text/html");
    web_find(cn->listener->server->web, path, accepts_html, &cn->web);
}

static int admit_row(struct conn *cn, const struct route *row, struct err *e)
{
    int r = row->query ? decode_query(cn, row, e) : 0;
    if (r == 0 && row->request)
        r = check_content_type(cn, e);
    return r;
}

int conn_admit(struct conn *cn, const char *url, struct err *e)
{
    const char *path = path_of(url);
    struct err not_found = ERR_INIT;
    MHD_get_connection_values(cn->rq.connection, MHD_HEADER_KIND, note_framing, &cn->framing);
    int found = find_route(cn, path, &not_found);
    find_web(cn, path, found == 0);
    /* A browser asks with OPTIONS, without the key, whether it may send one. */
    bool is_preflight = cn->is_options && cn->listener->trust == LISTENER_KEY;
    int r = check_framing(cn, e);
    if (r == 0 && cn->web.file)
        return check_room(cn, e);
    if (r == 0 && !is_preflight)
        r = guard_check(cn->listener, &cn->rq, e);
    if (r < 0)
        return r;
    if (found < 0) {
        *e = not_found;
        return found;
    }
    r = check_room(cn, e);
    if (r == 0 && cn->rq.route)
        r = check_rate(cn, e);
    if (r == 0 && cn->match.params[0].start)
        r = decode_params(cn, e);
    return r == 0 && cn->rq.route ? admit_row(cn, cn->rq.route, e) : r;
}

bool conn_answers_at_once(const struct conn *cn)
{
    return is_ambiguous(&cn->framing) || cn->framing.length > HTTP_DRAIN_MAX_BYTES ||
           request_header(&cn->rq, "Expect");
}
