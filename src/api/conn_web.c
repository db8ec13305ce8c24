/* SPDX-License-Identifier: Apache-2.0 */

/* Answers that are files of the dashboard. They are sent from where they lie in memory. */

#include <stdio.h>
#include <string.h>

#include "api/conn.h"
#include "api/text.h"

#define WEB_CSP_SIZE 640

/* Nothing from anywhere else, no page around ours, no script that is not a file of ours. WebSockets
 * are named besides 'self', which not every browser takes for them, and only on the host that the
 * page is from. Styles are set by scripts (terminal, charts), hence 'unsafe-inline'. */
static void make_csp(const struct request *rq, char ret[WEB_CSP_SIZE])
{
    const char *host = request_header(rq, "Host");
    char sockets[2 * 200 + 16] = "";
    if (host && strlen(host) < 200 && text_host_len(host))
        snprintf(sockets, sizeof(sockets), " ws://%s wss://%s", host, host);
    snprintf(ret, WEB_CSP_SIZE,
             "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
             "connect-src 'self'%s; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; "
             "form-action 'self'",
             sockets);
}

static int add_headers(const struct conn *cn, struct MHD_Response *r, bool is_gzip)
{
    const struct web_file *f = cn->web.file;
    char csp[WEB_CSP_SIZE], etag[sizeof(f->etag) + 4];
    make_csp(&cn->rq, csp);
    snprintf(etag, sizeof(etag), "%.*s%s\"", (int)strlen(f->etag) - 1, f->etag,
             is_gzip ? "-gz" : "");
    bool is_immutable = f->is_immutable && !cn->web.is_directory;
    int bad =
        server_common_headers(r, is_immutable ? "public, max-age=31536000, immutable" : "no-cache");
    bad |= conn_add_header(r, "Content-Security-Policy", csp) |
           conn_add_header(r, "Referrer-Policy", "same-origin") |
           /* The same path is a list or an error for whoever does not accept HTML. */
           conn_add_header(r, "Vary", "Accept, Accept-Encoding");
    if (!cn->web.is_directory)
        bad |= conn_add_header(r, "Content-Type", f->type) | conn_add_header(r, "ETag", etag);
    return bad;
}

/* "/docs" to "/docs/": relative links of the page would lead elsewhere. Relative itself, so that
 * whatever a proxy has put before it stays. */
static int add_location(const struct conn *cn, struct MHD_Response *r)
{
    char location[256];
    const char *dir_end = strrchr(cn->web.file->path, '/');
    const char *name = dir_end;
    while (name > cn->web.file->path && name[-1] != '/')
        name--;
    snprintf(location, sizeof(location), "%.*s/", (int)(dir_end - name), name);
    return conn_add_header(r, "Location", location);
}

enum MHD_Result conn_send_web(struct conn *cn)
{
    const struct web_file *f = cn->web.file;
    bool is_same = web_etag_matches(f, request_header(&cn->rq, "If-None-Match"));
    bool is_empty = is_same || cn->web.is_directory;
    bool is_gzip = !cn->web.is_directory && f->gzip &&
                   web_accepts_gzip(request_header(&cn->rq, "Accept-Encoding"));
    size_t len = is_empty ? 0 : is_gzip ? f->gzip_len : f->len;
    const char *data = is_gzip ? f->gzip : f->data;
    int status = cn->web.is_directory ? MHD_HTTP_MOVED_PERMANENTLY
                 : is_same            ? MHD_HTTP_NOT_MODIFIED
                                      : MHD_HTTP_OK;
    struct MHD_Response *r = MHD_create_response_from_buffer(len, len ? (void *)data : (void *)"",
                                                             MHD_RESPMEM_PERSISTENT);
    bool is_made = r && add_headers(cn, r, is_gzip) == 0 &&
                   (!cn->web.is_directory || add_location(cn, r) == 0);
    if (is_made && is_gzip && !is_empty)
        is_made = conn_add_header(r, "Content-Encoding", "gzip") == 0;
    if (is_made && atomic_load(&cn->listener->server->quiescing))
        is_made = conn_add_header(r, "Connection", "close") == 0;
    enum MHD_Result result = is_made ? conn_queue(cn, status, r) : MHD_NO;
    if (result == MHD_YES)
        conn_grant_time(cn, len);
    if (r)
        MHD_destroy_response(r);
    return result;
}
