/* SPDX-License-Identifier: Apache-2.0 */
#include "api/request.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <string.h>
#include <strings.h>

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

bool request_fd_hung_up(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL));
}

void answer_done(struct answer *a)
{
    json_decref(a->json);
    buf_done(&a->body);
    if (a->stream.free)
        a->stream.free(a->stream.arg);
    *a = (struct answer){0};
}

static int write_json(const char *data, size_t len, void *arg)
{
    return buf_append(arg, data, len) < 0 ? -1 : 0;
}

int answer_render(struct answer *a)
{
    if (!a->json)
        return 0;
    if (json_dump_callback(a->json, write_json, &a->body, JSON_COMPACT) < 0 ||
        buf_append_str(&a->body, "\n") < 0)
        return -ENOMEM;
    json_decref(TAKE_PTR(a->json));
    if (!a->content_type)
        a->content_type = "application/json";
    return 0;
}

void answer_error(struct answer *a, const struct dialect *dialect, const struct err *e)
{
    answer_done(a);
    a->json = dialect->error(e);
    a->status = err_http_status(e->class);
    if (e->class == ERR_FULL)
        a->retry_after_s = e->retry_after_s ? e->retry_after_s : HTTP_RETRY_AFTER_DEFAULT_S;
}
