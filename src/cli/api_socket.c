/* SPDX-License-Identifier: Apache-2.0 */

/* The easy handle stays in the multi handle: taken out, libcurl would close the connection, since
 * nobody else may use one that has been a bare one. */

#include "cli/api_socket.h"

#include <errno.h>
#include <string.h>

#include "cli/api_client_impl.h"

int api_socket_open(struct api_client *c, struct err *e)
{
    const struct api_request rq = {.path = ""};
    struct transfer t = {.client = c, .rq = &rq, .e = e};
    CURLcode code = CURLE_OK;
    api_client_set_connection(c);
    if (curl_easy_setopt(c->easy, CURLOPT_URL, c->base) != CURLE_OK)
        return err_errno(e, -ENOMEM, "connect to %s", c->url);
    curl_easy_setopt(c->easy, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(c->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(c->easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
    curl_multi_add_handle(c->multi, c->easy);
    c->is_socket = true;
    c->has_asked = true;
    int r = api_client_drive(&t, &code);
    if (r == -ECANCELED)
        return r;
    if (r < 0)
        return err_errno(e, r, "connect to %s", c->url);
    return code == CURLE_OK ? 0 : api_client_explain(c, code, 0, e);
}

int api_socket_fd(const struct api_client *c)
{
    curl_socket_t fd = -1;
    curl_easy_getinfo(c->easy, CURLINFO_ACTIVESOCKET, &fd);
    return (int)fd;
}

static ssize_t result(CURLcode code, size_t n)
{
    if (code == CURLE_OK)
        return (ssize_t)n;
    return code == CURLE_AGAIN ? -EAGAIN : -EIO;
}

ssize_t api_socket_read(struct api_client *c, void *buf, size_t max)
{
    size_t n = 0;
    CURLcode code = curl_easy_recv(c->easy, buf, max, &n);
    return result(code, n);
}

ssize_t api_socket_write(struct api_client *c, const void *data, size_t len)
{
    size_t n = 0;
    CURLcode code = curl_easy_send(c->easy, data, len, &n);
    return code == CURLE_OK && n == 0 ? -EAGAIN : result(code, n);
}

int api_socket_head(const struct api_client *c, const char *path, const char *more, struct buf *ret)
{
    CURLU *u = curl_url();
    char *host = NULL, *port = NULL, *prefix = NULL;
    int r = -EINVAL;
    if (u && curl_url_set(u, CURLUPART_URL, c->base, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
        (void)curl_url_get(u, CURLUPART_PORT, &port, 0);
        (void)curl_url_get(u, CURLUPART_PATH, &prefix, 0);
        bool has_prefix = prefix && strcmp(prefix, "/") != 0;
        buf_printf(ret,
                   "GET %s%s HTTP/1.1\r\nHost: %s%s%s\r\nUser-Agent: holm/" HOLM_VERSION "\r\n",
                   has_prefix ? prefix : "", path, host, port ? ":" : "", port ? port : "");
        if (c->key_header)
            buf_printf(ret, "%s\r\n", c->key_header);
        buf_printf(ret, "%s\r\n", more);
        r = ret->failed ? -ENOMEM : 0;
    }
    curl_free(host);
    curl_free(port);
    curl_free(prefix);
    curl_url_cleanup(u);
    return r;
}
