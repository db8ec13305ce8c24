/* SPDX-License-Identifier: Apache-2.0 */

/* Files of a guest. */
#include <errno.h>
#include <inttypes.h>

#include "base/limits.h"
#include "host/guest.h"
#include "host/guest_priv.h"

#define FILES_URL "/v1/files?path="

static int add_encoded(struct buf *b, const char *head, const char *path)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-";
    buf_append_str(b, head);
    for (const char *p = path; *p;) {
        size_t n = strspn(p, plain);
        buf_append(b, p, n);
        p += n;
        if (*p)
            buf_printf(b, "%%%02X", (unsigned char)*p++);
    }
    return b->failed ? -ENOMEM : 0;
}

int guest_url(struct buf *b, const char *head, const char *path, struct err *e)
{
    if (strnlen(path, AGENT_PATH_MAX_BYTES) == AGENT_PATH_MAX_BYTES)
        return err_field(e, "path", "the path is longer than %d bytes", AGENT_PATH_MAX_BYTES - 1);
    return add_encoded(b, head, path) < 0 ? err_errno(e, -ENOMEM, "encode a request to the agent")
                                          : 0;
}

int guest_tree_url(struct buf *b, const struct guest_tree *t, struct err *e)
{
    int r = guest_url(b, "/v1/tar?root=", t->root, e);
    return r < 0 ? r : guest_url(b, "&path=", t->path, e);
}

int guest_put_init(struct guest_put *p, const struct guest_file *f, struct link_request *ret,
                   struct err *e)
{
    int r = guest_url(&p->url, FILES_URL, f->path, e);
    if (r < 0)
        return r;
    r = buf_printf(&p->url, "&mode=%04o&uid=%" PRIu32 "&gid=%" PRIu32 "&parents=1%s", f->mode,
                   f->uid, f->gid, f->in_place ? "&in_place=1" : "");
    if (r < 0)
        return err_errno(e, r, "encode a request to the agent");
    p->body = (struct iovec){.iov_base = (void *)f->data, .iov_len = f->len};
    *ret = (struct link_request){
        .method = "PUT", .path = buf_str(&p->url), .body = &p->body, .n_body = 1};
    return 0;
}

int guest_put_file(struct link *l, const struct guest_file *f, int64_t deadline_ms, struct err *e)
{
    struct guest_put put = {0};
    struct link_request rq = {0};
    struct link_wait w = {.deadline_ms = deadline_ms};
    int r = guest_put_init(&put, f, &rq, e);
    if (r == 0)
        r = link_run(l, &rq, 1, &w, e);
    if (r == 0)
        r = guest_check(&rq, 201, e);
    buf_done(&put.url);
    buf_done(&rq.answer);
    return r;
}

int guest_get_file(struct link *l, const char *path, int64_t deadline_ms, struct buf *ret,
                   struct err *e)
{
    auto_buf struct buf url = {0};
    int r = guest_url(&url, FILES_URL, path, e);
    if (r < 0)
        return r;
    struct link_wait w = {.deadline_ms = deadline_ms};
    struct guest_simple s = {"GET", buf_str(&url), NULL, &w, 200};
    return guest_simple(l, &s, ret, e);
}

int guest_get_file_to(struct link *l, const char *path, const struct guest_sink *sink,
                      struct err *e)
{
    auto_buf struct buf url = {0};
    int r = guest_url(&url, FILES_URL, path, e);
    if (r < 0)
        return r;
    struct link_request rq = {
        .method = "GET", .path = buf_str(&url), .sink = sink->write, .arg = sink->arg};
    struct link_wait w = {.deadline_ms = sink->deadline_ms};
    r = link_run(l, &rq, 1, &w, e);
    if (r == 0)
        r = guest_check(&rq, 200, e);
    buf_done(&rq.answer);
    return r;
}

int guest_get_stat(struct link *l, const char *path, int64_t deadline_ms, struct guest_stat *ret,
                   struct err *e)
{
    auto_buf struct buf url = {0}, answer = {.max_bytes = AGENT_REPORT_MAX_BYTES};
    int r = guest_url(&url, "/v1/stat?path=", path, e);
    if (r < 0)
        return r;
    struct link_wait w = {.deadline_ms = deadline_ms};
    struct guest_simple s = {"GET", buf_str(&url), NULL, &w, 200};
    r = guest_simple(l, &s, &answer, e);
    if (r < 0)
        return r;
    r = guest_stat_decode(buf_str(&answer), answer.len, ret, e);
    return r < 0 ? guest_nonsense(e) : 0;
}

int guest_list_dir(struct link *l, const char *path, int64_t deadline_ms, json_t **ret,
                   struct err *e)
{
    auto_buf struct buf url = {0}, answer = {.max_bytes = AGENT_ANSWER_MAX_BYTES};
    int r = guest_url(&url, "/v1/list?path=", path, e);
    if (r < 0)
        return r;
    struct link_wait w = {.deadline_ms = deadline_ms};
    struct guest_simple s = {"GET", buf_str(&url), NULL, &w, 200};
    r = guest_simple(l, &s, &answer, e);
    if (r < 0)
        return r;
    r = guest_list_decode(buf_str(&answer), answer.len, ret, e);
    return r < 0 ? guest_nonsense(e) : 0;
}

int guest_remove(struct link *l, const char *path, int64_t deadline_ms, struct err *e)
{
    auto_buf struct buf url = {0};
    int r = guest_url(&url, FILES_URL, path, e);
    if (r < 0)
        return r;
    struct link_wait w = {.deadline_ms = deadline_ms};
    struct guest_simple s = {"DELETE", buf_str(&url), NULL, &w, 200};
    return guest_simple(l, &s, NULL, e);
}
