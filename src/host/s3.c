/* SPDX-License-Identifier: Apache-2.0 */
#include "host/s3.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "host/s3_http.h"
#include "host/s3_xml.h"

#define LIST_PAGE 1000

/* --- the configuration --- */

/* Names of buckets and regions stand in URLs and in signatures as they are. */
static bool is_name(const char *text)
{
    size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789.-");
    return n > 0 && n < 64 && !text[n];
}

static bool is_endpoint(const char *text)
{
    const char *host = strncmp(text, "http://", 7) == 0    ? text + 7
                       : strncmp(text, "https://", 8) == 0 ? text + 8
                                                           : "";
    size_t n = strcspn(host, "/");
    /* No user, path or query: only a host, and maybe a port. */
    return n > 0 && strcspn(host, " \t\"\\@?#%<>") >= n && (!host[n] || strcmp(host + n, "/") == 0);
}

int s3_check(const struct s3_config *c, struct err *e)
{
    const char *missing = !*c->bucket       ? "bucket"
                          : !*c->access_key ? "access_key"
                          : !*c->secret_key ? "secret_key"
                                            : NULL;
    if (missing)
        return err_field(e, missing, "s3.%s is not set: there is no object store", missing);
    if (!is_name(c->bucket))
        return err_field(e, "bucket", "s3.bucket: \"%.64s\" cannot be a bucket's name", c->bucket);
    if (!is_name(c->region))
        return err_field(e, "region", "s3.region: \"%.64s\" cannot be a region's name", c->region);
    if (*c->endpoint && !is_endpoint(c->endpoint))
        return err_field(e, "endpoint",
                         "s3.endpoint must be http://HOST[:PORT] or https://HOST[:PORT]");
    return 0;
}

int s3_new(const struct s3_config *c, const struct s3_wait *w, struct s3 **ret, struct err *e)
{
    int r = s3_check(c, e);
    if (r < 0)
        return r;
    struct s3 *s = calloc(1, sizeof(*s));
    CURL *easy = s ? curl_easy_init() : NULL;
    if (!easy) {
        free(s);
        return err_errno(e, -ENOMEM, "object store");
    }
    *s = (struct s3){.config = c, .easy = easy};
    if (w)
        s->wait = *w;
    *ret = s;
    return 0;
}

void s3_free(struct s3 *s)
{
    if (!s)
        return;
    curl_easy_cleanup(s->easy);
    free(s);
}

/* --- objects --- */

int s3_get(struct s3 *s, const char *key, const struct s3_range *range, struct buf *ret,
           struct err *e)
{
    struct s3_call c = {.method = "GET", .key = key, .answer = ret};
    if (range) {
        c.at = range->at;
        c.len = range->bytes;
    }
    return s3_request(s, &c, e);
}

int s3_put(struct s3 *s, const char *key, const void *data, size_t len, struct err *e)
{
    struct s3_call c = {.method = "PUT", .key = key, .body = data, .body_len = len};
    return s3_request(s, &c, e);
}

int s3_delete(struct s3 *s, const char *key, struct err *e)
{
    struct s3_call c = {.method = "DELETE", .key = key};
    int r = s3_request(s, &c, e);
    return r == -ENOENT ? 0 : r;
}

int s3_size(struct s3 *s, const char *key, int64_t *ret, struct err *e)
{
    struct s3_call c = {.method = "HEAD", .key = key};
    int r = s3_request(s, &c, e);
    if (r == 0 && c.object_bytes < 0)
        r = err_set(e, ERR_UNAVAILABLE, "the object store does not say how long %.200s is", key);
    if (r == 0)
        *ret = c.object_bytes;
    return r;
}

/* --- lists --- */

int s3_number(const char *text, int64_t max, int64_t *ret)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (errno || *text < '0' || *text > '9' || *end || n > max)
        return -EINVAL;
    *ret = n;
    return 0;
}

struct listing {
    int (*each)(void *arg, const struct s3_object *o);
    void *arg;
    int n, n_max;
    struct s3_object object; /* the one that is being read */
    char key[S3_KEY_MAX_BYTES + 1];
    bool is_list, is_truncated;
    struct buf token;
};

static int end_object(struct listing *l)
{
    if (!l->object.key || ++l->n > l->n_max)
        return -EBADMSG;
    int r = l->each(l->arg, &l->object);
    l->object = (struct s3_object){0};
    return r;
}

static int on_list(void *arg, const char *path, const char *text)
{
    struct listing *l = arg;
    int r = 0;
    if (strcmp(path, "ListBucketResult/Contents/Key") == 0) {
        if (strlen(text) >= sizeof(l->key))
            return -EBADMSG;
        l->object.key = strcpy(l->key, text);
    } else if (strcmp(path, "ListBucketResult/Contents/Size") == 0) {
        r = s3_number(text, INT64_MAX, &l->object.bytes);
    } else if (strcmp(path, "ListBucketResult/Contents/LastModified") == 0) {
        r = clock_parse_rfc3339(text, &l->object.modified_ns);
    } else if (strcmp(path, "ListBucketResult/Contents") == 0) {
        return end_object(l);
    } else if (strcmp(path, "ListBucketResult/IsTruncated") == 0) {
        l->is_truncated = strcmp(text, "true") == 0;
    } else if (strcmp(path, "ListBucketResult/NextContinuationToken") == 0) {
        buf_clear(&l->token);
        r = buf_append_str(&l->token, text);
    } else if (strcmp(path, "ListBucketResult") == 0) {
        l->is_list = true;
    }
    return r < 0 ? -EBADMSG : 0;
}

/* One answer of a list; *ret_again: there is more. */
static int list_page(struct s3 *s, const char *prefix, struct listing *l, struct err *e)
{
    auto_buf struct buf query = {0}, answer = {.max_bytes = S3_ANSWER_MAX_BYTES};
    if (l->token.len) {
        buf_append_str(&query, "continuation-token=");
        s3_encode(&query, buf_str(&l->token), false);
        buf_append_str(&query, "&");
    }
    buf_printf(&query, "list-type=2&max-keys=%d&prefix=", LIST_PAGE);
    s3_encode(&query, prefix, false);
    if (query.failed)
        return err_errno(e, -ENOMEM, "list objects");
    struct s3_call c = {.method = "GET", .key = "", .query = buf_str(&query), .answer = &answer};
    int r = s3_request(s, &c, e);
    l->is_list = l->is_truncated = false;
    if (r == 0)
        r = s3_xml_read(buf_str(&answer), answer.len, on_list, l, e);
    if (r == -EBADMSG || (r == 0 && !l->is_list) || (r == 0 && l->is_truncated && !l->token.len))
        r = err_set(e, ERR_UNAVAILABLE, "the object store's list of objects makes no sense");
    return r;
}

int s3_list(struct s3 *s, const char *prefix, int (*each)(void *arg, const struct s3_object *o),
            void *arg, struct err *e)
{
    struct listing l = {.each = each, .arg = arg, .n_max = S3_LIST_MAX};
    l.token.max_bytes = S3_XML_TEXT_MAX_BYTES;
    int r, n;
    do {
        n = l.n;
        r = list_page(s, prefix, &l, e);
    } while (r == 0 && l.is_truncated && l.n > n);
    buf_done(&l.token);
    return r;
}
