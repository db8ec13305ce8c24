/* SPDX-License-Identifier: Apache-2.0 */

/* Who may come in. A listener without a key is guarded by where a request claims to go and come
 * from. Programs on this machine may use it; a web page that a user of this machine looks at may
 * not, although its requests come from the same machine:
 *
 * - its name may be made to resolve to 127.0.0.1 (DNS rebinding): then the Host header has that
 *   name, which is none of ours;
 * - it may post across sites: then the browser adds its Origin.
 *
 * A key is nothing a browser sends by itself, so neither is looked at where a key is needed: on
 * listeners with keys, and for rows of accounts on every listener. A session's cookie it does send
 * by itself, whoever's page makes the request. So what changes something by a cookie, and a
 * WebSocket, which no browser keeps from other sites' pages, must come from a page of ours. That is
 * told by headers that pages cannot set; programs that are no browsers send none of them. */

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/server_impl.h"
#include "api/text.h"

static bool name_is(const char *name, size_t len, const char *other)
{
    return strlen(other) == len && strncasecmp(name, other, len) == 0;
}

static bool is_ip_literal(const char *name, size_t len)
{
    char ip[64];
    bool six = len > 2 && name[0] == '[';
    if (len >= sizeof(ip))
        return false;
    memcpy(ip, name + six, len - 2 * six);
    ip[len - 2 * six] = '\0';
    struct in6_addr any;
    return inet_pton(six ? AF_INET6 : AF_INET, ip, &any) == 1;
}

static bool host_ok(const struct server_listener *l, const char *host)
{
    size_t n = text_host_len(host);
    if (!n)
        return false;
    if (name_is(host, n, "localhost") || name_is(host, n, "127.0.0.1") ||
        name_is(host, n, "[::1]") || name_is(host, n, l->listener.host))
        return true;
    /* Other machines reach us by some address of ours. No name was resolved to get here, so there
     * was nothing to rebind. */
    if (!l->listener.is_loopback && is_ip_literal(host, n))
        return true;
    const char *const *more = l->server->config.hosts;
    for (; more && *more; more++) {
        if (name_is(host, n, *more))
            return true;
    }
    return false;
}

static bool origin_is_configured(const struct server *s, const char *origin)
{
    const char *const *o = s->config.origins;
    for (; o && *o; o++) {
        if (strcasecmp(*o, origin) == 0)
            return true;
    }
    return false;
}

static bool origin_is_same(const char *origin, const char *host)
{
    const char *rest = strstr(origin, "://");
    return rest && host && strcasecmp(rest + 3, host) == 0;
}

static int check_open(const struct server_listener *l, const struct request *rq, struct err *e)
{
    const char *host = request_header(rq, "Host"), *origin = request_header(rq, "Origin");
    if (host && !l->listener.is_unix && !host_ok(l, host))
        return err_set(e, ERR_FORBIDDEN,
                       "requests for host \"%.100s\" are refused: use localhost or 127.0.0.1, or "
                       "add the name to the hosts in the daemon's configuration",
                       host);
    if (origin && !origin_is_same(origin, host) && !origin_is_configured(l->server, origin))
        return err_set(e, ERR_FORBIDDEN,
                       "requests from web pages of \"%.100s\" are refused: add it to the origins "
                       "in the daemon's configuration to allow them",
                       origin);
    return 0;
}

static int check_key(const struct server_config *c, const char *key, struct request *rq,
                     struct err *e)
{
    if (!c->key_account)
        return err_set(e, ERR_UNAUTHORIZED, "the API key is not valid");
    return c->key_account(c->key_arg, key, rq->account, &rq->is_admin, e);
}

static bool is_own_page(const struct request *rq)
{
    const char *origin = request_header(rq, "Origin"), *site = request_header(rq, "Sec-Fetch-Site");
    if (origin)
        return origin_is_same(origin, request_header(rq, "Host"));
    return !site || strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0;
}

static int check_page(const struct request *rq, struct err *e)
{
    bool is_safe = rq->route && rq->route->method == ROUTE_GET && !rq->route->websocket;
    if (is_safe || is_own_page(rq))
        return 0;
    return err_set(e, ERR_FORBIDDEN,
                   "a session only counts for requests of Holm's own pages: send an API key "
                   "instead");
}

/* What needs no account may use the cookie nevertheless, to end its session. */
static int check_cookie(const struct request *rq, struct err *e)
{
    char token[sizeof(rq->session)];
    return request_cookie(rq, SESSION_COOKIE, token, sizeof(token)) ? check_page(rq, e) : 0;
}

static int check_session(const struct server_config *c, struct request *rq, struct err *e)
{
    char token[sizeof(rq->session)];
    if (!c->session_account || !request_cookie(rq, SESSION_COOKIE, token, sizeof(token)))
        return err_set(e, ERR_UNAUTHORIZED,
                       "an API key is needed: send it as X-API-Key: KEY or Authorization: Bearer "
                       "KEY");
    int r = c->session_account(c->key_arg, token, rq->account, &rq->is_admin, e);
    if (r == 0)
        r = check_page(rq, e);
    if (r < 0)
        return r;
    snprintf(rq->session, sizeof(rq->session), "%s", token);
    return 0;
}

static int check_account(const struct server_config *c, struct request *rq, struct err *e)
{
    const char *key = request_key(rq);
    int r = key ? check_key(c, key, rq, e) : check_session(c, rq, e);
    if (r < 0) {
        rq->account[0] = '\0';
        rq->is_admin = false;
    }
    return r;
}

int guard_check(const struct server_listener *l, struct request *rq, struct err *e)
{
    unsigned flags = rq->route ? rq->route->flags : 0;
    if (l->trust == LISTENER_GUESTS && !(flags & ROUTE_GUEST))
        return err_set(e, ERR_FORBIDDEN, "from inside of a VM only staged files can be reached");
    if (flags & ROUTE_SIGNED)
        return 0;
    bool needs_account = flags & (ROUTE_ACCOUNT | ROUTE_ADMIN);
    int r = flags & ROUTE_OPEN ? check_cookie(rq, e) : 0;
    if (r == 0 && !needs_account && l->trust == LISTENER_OPEN)
        return check_open(l, rq, e);
    if (r < 0 || flags & ROUTE_OPEN)
        return r;
    r = check_account(&l->server->config, rq, e);
    if (r == 0 && flags & ROUTE_ADMIN && !rq->is_admin)
        return err_set(e, ERR_FORBIDDEN, "this needs a key of an admin account");
    return r;
}

const char *guard_cors_origin(const struct server_listener *l, const struct request *rq)
{
    if (!l->server->config.origins)
        return NULL;
    const char *origin = request_header(rq, "Origin");
    return origin && origin_is_configured(l->server, origin) ? origin : NULL;
}
