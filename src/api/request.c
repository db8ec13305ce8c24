/* SPDX-License-Identifier: Apache-2.0 */
#include "api/request.h"

#include <microhttpd.h>
#include <poll.h>
#include <string.h>
#include <strings.h>

#include "api/text.h"

const char *request_header(const struct request *rq, const char *name)
{
    return MHD_lookup_connection_value(rq->connection, MHD_HEADER_KIND, name);
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

int request_base_url(const struct request *rq, char ret[BASE_URL_SIZE], struct err *e)
{
    const char *host = request_header(rq, "Host");
    if (!host || !*host)
        host = strncmp(rq->listener_address, "unix:", 5) == 0 ? "localhost" : rq->listener_address;
    if (!text_host_len(host) || strlen(host) > BASE_URL_SIZE - sizeof("http://"))
        return err_set(e, ERR_INVALID,
                       "the Host header \"%.100s\" is neither a name nor an address, with or "
                       "without a port",
                       host);
    snprintf(ret, BASE_URL_SIZE, "http://%s", host);
    return 0;
}

bool request_fd_hung_up(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL));
}
