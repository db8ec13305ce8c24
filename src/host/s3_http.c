/* SPDX-License-Identifier: Apache-2.0 */
#include "host/s3_http.h"

#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/s3_xml.h"

#define ASK_MS 100 /* between two questions whether it is still wanted */

/* One try of a call. */
struct attempt {
    struct s3 *s;
    struct s3_call *call;
    struct curl_slist *headers;
    size_t sent;       /* of the body */
    size_t answer_was; /* length of the answer before this try */
    struct buf error;  /* the body of an answer that is none */
    bool too_long;     /* it is longer than the caller wants */
    char region[64];   /* that the store says is the bucket's */
    char text[CURL_ERROR_SIZE];
};

static void attempt_done(struct attempt *t)
{
    curl_slist_free_all(t->headers);
    buf_done(&t->error);
}

static bool is_cancelled(const struct s3 *s)
{
    return s->wait.cancelled && s->wait.cancelled(s->wait.arg);
}

/* --- what is asked --- */

void s3_encode(struct buf *b, const char *text, bool keep_slash)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     strchr("-._~", c) || (keep_slash && c == '/');
        if (plain)
            buf_append(b, text, 1);
        else
            buf_printf(b, "%%%02X", c);
    }
}

/* The endpoint is checked when the client is made: a scheme, "://", a host. */
static void make_url(const struct s3 *s, const struct s3_call *c, struct buf *ret)
{
    const struct s3_config *config = s->config;
    char amazon[S3_TEXT_SIZE + 64];
    const char *endpoint = config->endpoint;
    snprintf(amazon, sizeof(amazon), "https://s3.%s.amazonaws.com", config->region);
    if (!*endpoint)
        endpoint = amazon;
    const char *host = strstr(endpoint, "://") + 3;
    int host_len = (int)strcspn(host, "/");
    buf_append(ret, endpoint, (size_t)(host - endpoint));
    if (config->path_style)
        buf_printf(ret, "%.*s/%s%s", host_len, host, config->bucket, *c->key ? "/" : "");
    else
        buf_printf(ret, "%s.%.*s/", config->bucket, host_len, host);
    s3_encode(ret, c->key, true);
    if (c->query)
        buf_printf(ret, "?%s", c->query);
}

static int add_header(struct attempt *t, const char *name, const char *value)
{
    char line[512];
    snprintf(line, sizeof(line), "%s: %s", name, value);
    struct curl_slist *more = curl_slist_append(t->headers, line);
    if (!more)
        return -ENOMEM;
    t->headers = more;
    return 0;
}

/* libcurl asks with "Expect" before it sends a large body. It must not be turned off: libcurl 7.88
 * signs the empty header that does so, and sends none. */
static int add_headers(struct attempt *t)
{
    const struct s3_call *c = t->call;
    unsigned char sum[crypto_hash_sha256_BYTES];
    char hex[2 * sizeof(sum) + 1], range[64];
    crypto_hash_sha256(sum, c->body, c->body ? c->body_len : 0);
    sodium_bin2hex(hex, sizeof(hex), sum, sizeof(sum));
    int r = add_header(t, "x-amz-content-sha256", hex);
    if (r == 0 && c->len) {
        snprintf(range, sizeof(range), "bytes=%lld-%lld", (long long)c->at,
                 (long long)(c->at + c->len - 1));
        r = add_header(t, "Range", range);
    }
    return r;
}

/* --- what comes --- */

static size_t on_send(char *data, size_t size, size_t n, void *arg)
{
    struct attempt *t = arg;
    size_t left = t->call->body_len - t->sent, len = size * n < left ? size * n : left;
    if (len)
        memcpy(data, (const char *)t->call->body + t->sent, len);
    t->sent += len;
    return len;
}

static int on_seek(void *arg, curl_off_t offset, int origin)
{
    struct attempt *t = arg;
    if (origin != SEEK_SET || offset < 0 || (size_t)offset > t->call->body_len)
        return CURL_SEEKFUNC_FAIL;
    t->sent = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct attempt *t = arg;
    long status = 0;
    curl_easy_getinfo(t->s->easy, CURLINFO_RESPONSE_CODE, &status);
    bool is_answer = status / 100 == 2 && t->call->answer;
    if (!is_answer) {
        if (status / 100 != 2)
            (void)buf_append(&t->error, data, size * n); /* bounded: the rest says nothing new */
        return size * n;
    }
    if (buf_append(t->call->answer, data, size * n) == 0)
        return size * n;
    t->too_long = true;
    return 0;
}

/* The value of a header of this name, trimmed, into `ret`. */
static void take_header(const char *line, size_t len, const char *name, char *ret, size_t size)
{
    size_t n = strlen(name);
    if (len <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
        return;
    line += n + 1;
    len -= n + 1;
    while (len && (*line == ' ' || *line == '\t' || *line == '"')) {
        line++;
        len--;
    }
    while (len && strchr(" \t\r\n\"", line[len - 1]))
        len--;
    if (len >= size)
        return;
    memcpy(ret, line, len);
    ret[len] = '\0';
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
    struct attempt *t = arg;
    size_t len = size * n;
    take_header(line, len, "etag", t->call->etag, sizeof(t->call->etag));
    take_header(line, len, "x-amz-bucket-region", t->region, sizeof(t->region));
    return len;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct attempt *t = arg;
    return is_cancelled(t->s);
}

/* --- one try --- */

static void set_up_transfer(struct attempt *t, const char *url)
{
    CURL *c = t->s->easy;
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)S3_CONNECT_TIMEOUT_MS);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1024L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)t->s->config->stall_s);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->text);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "holm/" HOLM_VERSION);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
}

static void set_up_request(struct attempt *t)
{
    const struct s3_config *config = t->s->config;
    const struct s3_call *call = t->call;
    CURL *c = t->s->easy;
    char sigv4[S3_TEXT_SIZE + 16];
    snprintf(sigv4, sizeof(sigv4), "aws:amz:%s:s3", config->region);
    curl_easy_setopt(c, CURLOPT_AWS_SIGV4, sigv4);
    curl_easy_setopt(c, CURLOPT_USERNAME, config->access_key);
    curl_easy_setopt(c, CURLOPT_PASSWORD, config->secret_key);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, t->headers);
    if (call->body) {
        curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->body_len);
        curl_easy_setopt(c, CURLOPT_READFUNCTION, on_send);
        curl_easy_setopt(c, CURLOPT_READDATA, t);
        curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt(c, CURLOPT_SEEKDATA, t);
    }
    if (strcmp(call->method, "HEAD") == 0)
        curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
    else if (strcmp(call->method, "GET") != 0)
        curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, call->method);
}

static CURLcode perform(struct attempt *t)
{
    auto_buf struct buf url = {0};
    make_url(t->s, t->call, &url);
    if (url.failed || add_headers(t) < 0)
        return CURLE_OUT_OF_MEMORY;
    curl_easy_reset(t->s->easy); /* keeps the connection */
    set_up_transfer(t, buf_str(&url));
    set_up_request(t);
    return curl_easy_perform(t->s->easy);
}

/* Why an answer that says yes is still no good; NULL: it is. */
static const char *wrong_with(const struct attempt *t)
{
    const struct s3_call *c = t->call;
    if (c->len && c->status != 206)
        return "the object store does not give parts of objects";
    if (c->len && c->answer && c->answer->len - t->answer_was != (size_t)c->len)
        return "the object store's answer is too short";
    return NULL;
}

static int failed(struct attempt *t, CURLcode code, bool *ret_again, struct err *e)
{
    const struct s3_config *config = t->s->config;
    const char *at = *config->endpoint ? config->endpoint : "amazonaws.com";
    if (code == CURLE_ABORTED_BY_CALLBACK) {
        err_set(e, ERR_UNAVAILABLE, "cancelled");
        return -ECANCELED;
    }
    if (code == CURLE_OUT_OF_MEMORY)
        return err_errno(e, -ENOMEM, "ask the object store");
    if (t->too_long)
        return err_set(e, ERR_UNAVAILABLE, "the object store's answer for %.200s is too long",
                       t->call->key);
    /* A certificate or an address that is wrong will be so the next time. */
    *ret_again = code != CURLE_PEER_FAILED_VERIFICATION && code != CURLE_URL_MALFORMAT &&
                 code != CURLE_UNSUPPORTED_PROTOCOL;
    return err_set(e, ERR_UNAVAILABLE, "the object store at %s: %s", at,
                   t->text[0] ? t->text : curl_easy_strerror(code));
}

static int judge(struct attempt *t, bool *ret_again, struct err *e)
{
    struct s3_call *c = t->call;
    struct s3_refusal f = {0};
    curl_easy_getinfo(t->s->easy, CURLINFO_RESPONSE_CODE, &c->status);
    if (c->status / 100 == 2) {
        curl_off_t len = -1;
        curl_easy_getinfo(t->s->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &len);
        c->object_bytes = len;
        const char *wrong = wrong_with(t);
        *ret_again = wrong;
        return wrong ? err_set(e, ERR_UNAVAILABLE, "%s (%.200s)", wrong, c->key) : 0;
    }
    strcpy(f.region, t->region);
    f.status = c->status;
    s3_refusal_read(buf_str(&t->error), t->error.len, &f);
    *ret_again = s3_refusal_is_passing(&f);
    return s3_refused(t->s, c, &f, e);
}

static int attempt(struct s3 *s, struct s3_call *c, bool *ret_again, struct err *e)
{
    struct attempt t = {.s = s, .call = c, .answer_was = c->answer ? c->answer->len : 0};
    t.error.max_bytes = S3_XML_TEXT_MAX_BYTES;
    *ret_again = false;
    c->etag[0] = '\0';
    CURLcode code = perform(&t);
    int r = code == CURLE_OK ? judge(&t, ret_again, e) : failed(&t, code, ret_again, e);
    if (r < 0 && c->answer) {
        c->answer->len = t.answer_was;
        c->answer->failed = false;
    }
    attempt_done(&t);
    return r;
}

/* --- several --- */

/* Between half of the wait and all of it, so that several that were refused together do not come
 * back together. False: it is not wanted any more. */
static bool hold_on(const struct s3 *s, int tries)
{
    int64_t ms = s->config->retry_ms;
    for (int i = 1; i < tries && ms < S3_BACKOFF_MAX_MS; i++)
        ms *= 2;
    ms = ms < S3_BACKOFF_MAX_MS ? ms : S3_BACKOFF_MAX_MS;
    ms = ms / 2 + (int64_t)randombytes_uniform((uint32_t)(ms / 2 + 1));
    for (int64_t until = clock_mono_ms() + ms, left; (left = until - clock_mono_ms()) > 0;) {
        if (is_cancelled(s))
            return false;
        poll(NULL, 0, left < ASK_MS ? (int)left : ASK_MS);
    }
    return !is_cancelled(s);
}

int s3_request(struct s3 *s, struct s3_call *c, struct err *e)
{
    struct err own = ERR_INIT;
    if (!e)
        e = &own;
    for (c->tries = 1;; c->tries++) {
        bool again;
        int r = attempt(s, c, &again, e);
        if (r == 0 || !again || c->tries == S3_TRIES)
            return r;
        log_debug("s3", "try %d of %s %s: %s", c->tries, c->method, c->key, e->text);
        if (!hold_on(s, c->tries)) {
            err_set(e, ERR_UNAVAILABLE, "cancelled");
            return -ECANCELED;
        }
    }
}
