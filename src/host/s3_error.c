/* SPDX-License-Identifier: Apache-2.0 */

/* What a store's refusals mean for who has configured it. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "host/s3_http.h"
#include "host/s3_xml.h"

/* Of a stranger's text what can stand in a log line. */
static void copy_plain(char *ret, size_t size, const char *text)
{
    size_t n = 0;
    for (; *text && n + 1 < size; text++)
        ret[n++] = *text >= ' ' && *text < 0x7f ? *text : '?';
    ret[n] = '\0';
}

static int on_element(void *arg, const char *path, const char *text)
{
    struct s3_refusal *f = arg;
    if (strcmp(path, "Error/Code") == 0)
        copy_plain(f->code, sizeof(f->code), text);
    else if (strcmp(path, "Error/Message") == 0)
        copy_plain(f->message, sizeof(f->message), text);
    else if (strcmp(path, "Error/Region") == 0)
        copy_plain(f->region, sizeof(f->region), text);
    return 0;
}

bool s3_refusal_read(const char *body, size_t len, struct s3_refusal *ret)
{
    ret->code[0] = ret->message[0] = '\0';
    int r = s3_xml_read(body, len, on_element, ret, NULL);
    return r == 0 && ret->code[0];
}

bool s3_refusal_is_passing(const struct s3_refusal *f)
{
    static const char *const codes[] = {
        "InternalError",  "ServiceUnavailable",        "SlowDown",
        "RequestTimeout", "OperationAborted",          "BadDigest",
        "InvalidDigest",  "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"};
    static const short statuses[] = {408, 429, 500, 502, 503, 504};
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        if (strcmp(f->code, codes[i]) == 0)
            return true;
    }
    for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
        if (f->status == statuses[i])
            return true;
    }
    return false;
}

/* By the code of the answer. HEAD's answers have none; their status has to do. */
static const struct row {
    const char *code;
    long status; /* when there is no code; 0: only with the code */
    enum err_class class;
    const char *text;
} rows[] = {
    {"NoSuchKey", 0, ERR_NOT_FOUND, "the object store has no such object"},
    {"NoSuchUpload", 0, ERR_NOT_FOUND, "the object store does not know this upload any more"},
    {"NoSuchBucket", 0, ERR_UNAVAILABLE, "the object store has no such bucket as s3.bucket says"},
    {"InvalidAccessKeyId", 0, ERR_UNAVAILABLE, "the object store does not know s3.access_key"},
    {"SignatureDoesNotMatch", 0, ERR_UNAVAILABLE,
     "the object store does not accept the signature: s3.secret_key is not that of "
     "s3.access_key"},
    {"RequestTimeTooSkewed", 0, ERR_UNAVAILABLE,
     "this host's clock and the object store's are too far apart: set this host's"},
    {"AccessDenied", 403, ERR_UNAVAILABLE,
     "the object store does not allow s3.access_key to do this"},
    {"MethodNotAllowed", 405, ERR_UNSUPPORTED, "the object store does not know this call"},
    {"NotImplemented", 501, ERR_UNSUPPORTED, "the object store does not know this call"},
    {"", 404, ERR_NOT_FOUND, "the object store has no such object"},
};

/* Another region's bucket is told of in as many ways as there are stores. */
static bool is_elsewhere(const struct s3 *s, const struct s3_refusal *f)
{
    return f->region[0] && strcmp(f->region, s->config->region) != 0 &&
           (f->status == 301 || f->status == 307 || f->status == 400 || f->status == 403);
}

int s3_refused(const struct s3 *s, const struct s3_call *c, const struct s3_refusal *f,
               struct err *e)
{
    const char *what = *c->key ? c->key : "the list of objects";
    if (is_elsewhere(s, f))
        return err_set(e, ERR_UNAVAILABLE,
                       "the bucket %s is in the region %s, not in %s: set s3.region",
                       s->config->bucket, f->region, s->config->region);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct row *row = &rows[i];
        if (f->code[0] ? strcmp(f->code, row->code) != 0 : f->status != row->status)
            continue;
        err_set(e, row->class, "%s (%.200s)", row->text, what);
        return row->class == ERR_NOT_FOUND     ? -ENOENT
               : row->class == ERR_UNSUPPORTED ? -EOPNOTSUPP
                                               : -EIO;
    }
    err_set(e, ERR_UNAVAILABLE, "the object store answered %ld%s%s to %s %.200s%s%s", f->status,
            f->code[0] ? " " : "", f->code, c->method, what, f->message[0] ? ": " : "", f->message);
    return -EIO;
}
