/* SPDX-License-Identifier: Apache-2.0 */
#include "api/request.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/text.h"

const char *request_header(const struct request *rq, const char *name)
{
    return MHD_lookup_connection_value(rq->connection, MHD_HEADER_KIND, name);
}

int64_t request_length(const struct request *rq)
{
    const char *text = request_header(rq, "Content-Length");
    char *end;
    if (!text || !*text)
        return -1;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    return errno || *end || n < 0 ? -1 : n;
}

const char *request_key(const struct request *rq)
{
    const char *key = request_header(rq, "X-API-Key");
    const char *auth = request_header(rq, "Authorization");
    return !key && auth && strncasecmp(auth, "Bearer ", 7) == 0 ? auth + 7 : key;
}

bool request_cookie(const struct request *rq, const char *name, char *ret, size_t size)
{
    const char *p = request_header(rq, "Cookie");
    size_t name_len = strlen(name);
    while (p && *p) {
        p += strspn(p, " \t;");
        size_t n = strcspn(p, ";");
        if (n > name_len && strncmp(p, name, name_len) == 0 && p[name_len] == '=') {
            size_t len = n - name_len - 1;
            while (len && strchr(" \t", p[name_len + len]))
                len--;
            snprintf(ret, size, "%.*s", len < size ? (int)len : 0, p + name_len + 1);
            return true;
        }
        p += n;
    }
    return false;
}

/* "a/b;q=0.5, c/d": compares what is before the parameters of each element. */
bool request_accepts(const struct request *rq, const char *media_type)
{
    const char *p = request_header(rq, "Accept");
    size_t want = strlen(media_type);
    while (p && *p) {
        p += strspn(p, " \t,");
        size_t n = strcspn(p, " \t,;");
        if (n == want && strncasecmp(p, media_type, n) == 0)
            return true;
        p += strcspn(p, ",");
    }
    return false;
}

bool request_content_is(const struct request *rq, const char *media_type)
{
    const char *type = request_header(rq, "Content-Type");
    size_t n = type ? strcspn(type, "; \t") : 0;
    return type && n == strlen(media_type) && strncasecmp(type, media_type, n) == 0;
}

int request_check_raw(const struct request *rq, struct err *e)
{
    static const char *const wrapped[] = {"application/json", "multipart/form-data"};
    for (size_t i = 0; i < sizeof(wrapped) / sizeof(wrapped[0]); i++) {
        if (request_content_is(rq, wrapped[i]))
            return err_set(e, ERR_UNSUPPORTED,
                           "Content-Type is %s, but the body is the file itself, with nothing "
                           "around it: send it as application/octet-stream (with curl: -T FILE)",
                           wrapped[i]);
    }
    return 0;
}

int request_base_url(const struct request *rq, char ret[BASE_URL_SIZE], struct err *e)
{
    const char *host = request_header(rq, "Host");
    if (!host || !*host)
        host = strncmp(rq->listener_address, "unix:", 5) == 0 ? "localhost" : rq->listener_address;
    size_t room = BASE_URL_SIZE - sizeof("http://") - strlen(rq->behind);
    if (!text_host_len(host) || strlen(host) > room)
        return err_set(e, ERR_INVALID,
                       "the Host header \"%.100s\" is neither a name nor an address, with or "
                       "without a port",
                       host);
    snprintf(ret, BASE_URL_SIZE, "http://%s%s", host, rq->behind);
    return 0;
}

bool request_fd_hung_up(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL));
}
