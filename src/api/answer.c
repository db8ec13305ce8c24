/* SPDX-License-Identifier: Apache-2.0 */
#include "api/request.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/log.h"

void answer_done(struct answer *a)
{
    json_decref(a->json);
    buf_done(&a->body);
    if (a->stream.free)
        a->stream.free(a->stream.arg);
    if (a->file.is_set)
        close(a->file.fd);
    buf_done(&a->headers);
    *a = (struct answer){0};
}

ssize_t answer_stream_read(ssize_t n, const char *module, const struct err *e)
{
    static struct log_limit limit;
    if (n > 0)
        return n;
    if (n == 0)
        return ANSWER_STREAM_END;
    if (n != -ECANCELED && log_limit_pass(&limit))
        log_warn(module, "a file was sent in part: %s", e->text);
    return ANSWER_STREAM_BROKEN;
}

/* Kept as name and value, each with its NUL. */
void answer_header(struct answer *a, const char *name, const char *fmt, ...)
{
    char value[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(value, sizeof(value), fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof(value))
        a->headers.failed = true;
    buf_append(&a->headers, name, strlen(name) + 1);
    buf_append(&a->headers, value, strlen(value) + 1);
}

void answer_file(struct answer *a, int fd, uint64_t offset, uint64_t length)
{
    a->file.is_set = true;
    a->file.fd = fd;
    a->file.offset = offset;
    a->file.length = length;
}

int answer_range(const struct request *rq, uint64_t total, struct answer *a, struct byte_range *ret,
                 struct err *e)
{
    *ret = (struct byte_range){0, total};
    answer_header(a, "Accept-Ranges", "bytes");
    const char *range = request_header(rq, "Range");
    /* A condition that we gave nothing for cannot hold. */
    if (!range || request_header(rq, "If-Range"))
        return 0;
    int r = range_parse(range, total, ret);
    if (r == -ERANGE) {
        answer_header(a, "Content-Range", "bytes */%llu", (unsigned long long)total);
        return err_set(e, ERR_RANGE, "Range: %.60s is beyond the end: there are %llu bytes", range,
                       (unsigned long long)total);
    }
    if (r == 1) {
        a->status = 206;
        answer_header(a, "Content-Range", "bytes %llu-%llu/%llu", (unsigned long long)ret->offset,
                      (unsigned long long)(ret->offset + ret->length - 1),
                      (unsigned long long)total);
    }
    return 0;
}

static int write_json(const char *data, size_t len, void *arg)
{
    return buf_append(arg, data, len) < 0 ? -1 : 0;
}

int answer_render(struct answer *a)
{
    if (!a->json)
        return 0;
    if (json_dump_callback(a->json, write_json, &a->body,
                           JSON_COMPACT | JSON_REAL_PRECISION(ANSWER_DIGITS)) < 0 ||
        buf_append_str(&a->body, "\n") < 0)
        return -ENOMEM;
    json_decref(TAKE_PTR(a->json));
    if (!a->content_type)
        a->content_type = "application/json";
    return 0;
}

void answer_error(struct answer *a, const struct dialect *dialect, const struct err *e)
{
    struct buf headers = a->headers;
    a->headers = (struct buf){0};
    answer_done(a);
    a->headers = headers;
    a->json = dialect->error(e);
    a->status = err_http_status(e->class);
    if (e->class == ERR_FULL || e->class == ERR_RATE)
        a->retry_after_s = e->retry_after_s ? e->retry_after_s : HTTP_RETRY_AFTER_DEFAULT_S;
    if (e->class == ERR_CONFLICT && dialect->says_no_retry)
        answer_header(a, "x-should-retry", "false");
}
