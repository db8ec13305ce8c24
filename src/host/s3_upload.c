/* SPDX-License-Identifier: Apache-2.0 */

/* Objects that are uploaded in parts. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "host/s3_http.h"
#include "host/s3_xml.h"

static int no_sense(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "the object store's answer about an upload makes no sense");
}

/* --- begin --- */

static int on_begun(void *arg, const char *path, const char *text)
{
    char *id = arg;
    if (strcmp(path, "InitiateMultipartUploadResult/UploadId") != 0)
        return 0;
    if (!*text || strlen(text) >= S3_UPLOAD_ID_SIZE)
        return -EBADMSG;
    strcpy(id, text);
    return 0;
}

int s3_upload_begin(struct s3 *s, const char *key, char ret_id[S3_UPLOAD_ID_SIZE], struct err *e)
{
    auto_buf struct buf answer = {.max_bytes = S3_ANSWER_MAX_BYTES};
    struct s3_call c = {
        .method = "POST", .key = key, .query = "uploads=", .body = "", .answer = &answer};
    int r = s3_request(s, &c, e);
    ret_id[0] = '\0';
    if (r == 0)
        r = s3_xml_read(buf_str(&answer), answer.len, on_begun, ret_id, e);
    return r == -EBADMSG || (r == 0 && !*ret_id) ? no_sense(e) : r;
}

/* --- parts --- */

int s3_upload_part(struct s3 *s, const struct s3_upload *u, const struct buf *data,
                   struct s3_part *part, struct err *e)
{
    auto_buf struct buf query = {0};
    buf_printf(&query, "partNumber=%d&uploadId=", part->number);
    s3_encode(&query, u->id, false);
    if (query.failed)
        return err_errno(e, -ENOMEM, "upload");
    struct s3_call c = {.method = "PUT",
                        .key = u->key,
                        .query = buf_str(&query),
                        .body = buf_str(data),
                        .body_len = data->len};
    int r = s3_request(s, &c, e);
    if (r == 0 && !c.etag[0])
        r = no_sense(e);
    if (r < 0)
        return r;
    part->bytes = (int64_t)data->len;
    memcpy(part->etag, c.etag, sizeof(part->etag));
    return 0;
}

struct part_list {
    int (*each)(void *arg, const struct s3_part *part);
    void *arg;
    struct s3_part part;
    bool is_list, is_truncated;
    int last;
};

static void copy_etag(char ret[S3_ETAG_SIZE], const char *text)
{
    size_t n = 0;
    for (; *text && n + 1 < S3_ETAG_SIZE; text++) {
        if (*text != '"')
            ret[n++] = *text;
    }
    ret[n] = '\0';
}

static int on_part(void *arg, const char *path, const char *text)
{
    struct part_list *l = arg;
    int64_t number = 0;
    int r = 0;
    if (strcmp(path, "ListPartsResult/Part/PartNumber") == 0) {
        r = s3_number(text, S3_PARTS_MAX, &number);
        l->part.number = (int)number;
    } else if (strcmp(path, "ListPartsResult/Part/Size") == 0) {
        r = s3_number(text, INT64_MAX, &l->part.bytes);
    } else if (strcmp(path, "ListPartsResult/Part/ETag") == 0) {
        copy_etag(l->part.etag, text);
    } else if (strcmp(path, "ListPartsResult/Part") == 0) {
        if (l->part.number <= l->last)
            return -EBADMSG;
        l->last = l->part.number;
        r = l->each(l->arg, &l->part);
        l->part = (struct s3_part){0};
        return r;
    } else if (strcmp(path, "ListPartsResult/IsTruncated") == 0) {
        l->is_truncated = strcmp(text, "true") == 0;
    } else if (strcmp(path, "ListPartsResult") == 0) {
        l->is_list = true;
    }
    return r < 0 ? -EBADMSG : 0;
}

static int list_page(struct s3 *s, const struct s3_upload *u, struct part_list *l, struct err *e)
{
    auto_buf struct buf query = {0}, answer = {.max_bytes = S3_ANSWER_MAX_BYTES};
    if (l->last)
        buf_printf(&query, "part-number-marker=%d&", l->last);
    buf_append_str(&query, "uploadId=");
    s3_encode(&query, u->id, false);
    if (query.failed)
        return err_errno(e, -ENOMEM, "list an upload's parts");
    struct s3_call c = {
        .method = "GET", .key = u->key, .query = buf_str(&query), .answer = &answer};
    int r = s3_request(s, &c, e);
    l->is_list = l->is_truncated = false;
    if (r == 0)
        r = s3_xml_read(buf_str(&answer), answer.len, on_part, l, e);
    return r == -EBADMSG || (r == 0 && !l->is_list) ? no_sense(e) : r;
}

int s3_upload_list(struct s3 *s, const struct s3_upload *u,
                   int (*each)(void *arg, const struct s3_part *part), void *arg, struct err *e)
{
    struct part_list l = {.each = each, .arg = arg};
    int r, last;
    do {
        last = l.last;
        r = list_page(s, u, &l, e);
    } while (r == 0 && l.is_truncated && l.last > last);
    return r;
}

/* --- the end --- */

static void make_list(struct buf *b, const struct s3_part *parts, size_t n)
{
    buf_append_str(b, "<CompleteMultipartUpload>");
    for (size_t i = 0; i < n; i++) {
        buf_printf(b, "<Part><PartNumber>%d</PartNumber><ETag>&quot;", parts[i].number);
        for (const char *p = parts[i].etag; *p; p++) { /* a stranger's text */
            if (*p == '<' || *p == '&')
                buf_append_str(b, *p == '<' ? "&lt;" : "&amp;");
            else
                buf_append(b, p, 1);
        }
        buf_append_str(b, "&quot;</ETag></Part>");
    }
    buf_append_str(b, "</CompleteMultipartUpload>");
}

/* A store that works long on it says 200 at once, and in the body what has become of it. */
static int complete_once(struct s3 *s, struct s3_call *c, bool *ret_again, struct err *e)
{
    struct s3_refusal f = {.status = 200};
    buf_clear(c->answer);
    int r = s3_request(s, c, e);
    *ret_again = false;
    if (r < 0 || !s3_refusal_read(buf_str(c->answer), c->answer->len, &f))
        return r;
    *ret_again = s3_refusal_is_passing(&f);
    return s3_refused(s, c, &f, e);
}

int s3_upload_complete(struct s3 *s, const struct s3_upload *u, const struct s3_part *parts,
                       size_t n, struct err *e)
{
    auto_buf struct buf query = {0}, body = {0}, answer = {.max_bytes = S3_ANSWER_MAX_BYTES};
    buf_append_str(&query, "uploadId=");
    s3_encode(&query, u->id, false);
    make_list(&body, parts, n);
    if (query.failed || body.failed)
        return err_errno(e, -ENOMEM, "complete an upload");
    struct s3_call c = {.method = "POST",
                        .key = u->key,
                        .query = buf_str(&query),
                        .body = buf_str(&body),
                        .body_len = body.len,
                        .answer = &answer};
    bool again = true;
    int r = 0;
    for (int i = 0; again && i < S3_TRIES; i++)
        r = complete_once(s, &c, &again, e);
    return r;
}

int s3_upload_abort(struct s3 *s, const struct s3_upload *u, struct err *e)
{
    auto_buf struct buf query = {0};
    buf_append_str(&query, "uploadId=");
    s3_encode(&query, u->id, false);
    if (query.failed)
        return err_errno(e, -ENOMEM, "abort an upload");
    struct s3_call c = {.method = "DELETE", .key = u->key, .query = buf_str(&query)};
    int r = s3_request(s, &c, e);
    return r == -ENOENT ? 0 : r;
}
