/* SPDX-License-Identifier: Apache-2.0 */

/* Why libcurl's multi interface for one request at a time: its poll also takes our own descriptors,
 * so one wait covers the network, a signal and the next frame of the progress line, without threads
 * and without anything happening in a signal handler. Closing the connection is how a run is
 * cancelled, so the easy handle is always taken out of the multi handle before we return: that
 * closes a connection whose answer was not complete, and keeps one that was for the next request.
 */

#include "cli/api_client.h"

#include <string.h>

#include <curl/curl.h>

#include "base/limits.h"
#include "cli/json.h"

/* As holmd's `listen` writes it; the slash is the path's first. */
#define UNIX_PREFIX "unix:/"

struct api_client {
    char *url;          /* as shown: without a slash at the end */
    const char *base;   /* what paths are appended to: url, or a name for the socket's other end */
    const char *socket; /* in url, the path of "unix:/PATH"; NULL: TCP */
    CURLM *multi;
    CURL *easy;
    struct curl_slist *headers;
    struct interrupt *interrupt;
    struct progress *progress;
    char why[CURL_ERROR_SIZE]; /* libcurl's words for the last failure */
    char *key_header;
    bool loopback;
};

/* One request under way. */
struct transfer {
    struct api_client *client;
    const struct api_request *rq;
    struct api_answer *answer;
    int result; /* of rq->data */
    struct err *e;
};

/* By name, not by resolving: it only decides about the proxy. */
static bool is_loopback(const char *host)
{
    return !strcmp(host, "localhost") || !strncmp(host, "127.", 4) || !strcmp(host, "[::1]");
}

static int check_url(const char *url, bool *ret_loopback, struct err *e)
{
    *ret_loopback = true;
    if (!strncmp(url, UNIX_PREFIX, strlen(UNIX_PREFIX)))
        return 0;
    CURLU *u = curl_url();
    char *scheme = NULL, *host = NULL;
    if (!u)
        return err_errno(e, -ENOMEM, "read the URL");
    bool ok = curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
              curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
              curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
              (!strcmp(scheme, "http") || !strcmp(scheme, "https"));
    *ret_loopback = ok && is_loopback(host);
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(u);
    if (ok)
        return 0;
    return err_set(e, ERR_INVALID,
                   "'%.200s' is not the address of a daemon; it looks like http://127.0.0.1:8080 "
                   "or unix:/PATH",
                   url);
}

/* It goes into a header line: a line end in it would begin another header. */
static int check_key(const char *key, struct err *e)
{
    for (const char *c = key; *c; c++) {
        if ((unsigned char)*c < 0x21 || *c == 0x7f)
            return err_set(e, ERR_INVALID,
                           "the API key has spaces or control characters; check --key and "
                           "HOLM_API_KEY");
    }
    return 0;
}

int api_client_new(const char *url, const char *key, struct interrupt *interrupt,
                   struct api_client **ret, struct err *e)
{
    bool loopback;
    int r = check_url(url, &loopback, e);
    if (r >= 0 && key)
        r = check_key(key, e);
    if (r < 0)
        return r;
    auto_api_client struct api_client *c = calloc(1, sizeof(*c));
    if (!c)
        return err_errno(e, -ENOMEM, "make an HTTP client");
    size_t len = strlen(url);
    while (len && url[len - 1] == '/')
        len--;
    c->url = strndup(url, len);
    c->loopback = loopback;
    if (c->url && !strncmp(url, UNIX_PREFIX, strlen(UNIX_PREFIX)))
        c->socket = c->url + strlen(UNIX_PREFIX) - 1;
    c->base = c->socket ? "http://localhost" : c->url;
    c->interrupt = interrupt;
    c->easy = curl_easy_init();
    c->multi = curl_multi_init();
    if (!c->url || !c->easy || !c->multi ||
        (key && asprintf(&c->key_header, "X-API-Key: %s", key) < 0))
        return err_errno(e, -ENOMEM, "make an HTTP client");
    *ret = TAKE_PTR(c);
    return 0;
}

void api_client_free(struct api_client *c)
{
    if (!c)
        return;
    curl_multi_cleanup(c->multi);
    curl_easy_cleanup(c->easy);
    curl_slist_free_all(c->headers);
    free(c->key_header);
    free(c->url);
    free(c);
}

void api_client_set_progress(struct api_client *c, struct progress *progress)
{
    c->progress = progress;
}

const char *api_client_url(const struct api_client *c)
{
    return c->url;
}

/* Once the head of the answer has come: whether its body belongs to rq->data. */
static bool is_streamed(const struct api_client *c, const struct api_request *rq)
{
    const char *type = NULL;
    long status = 0;
    curl_easy_getinfo(c->easy, CURLINFO_CONTENT_TYPE, &type);
    curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    return status == 200 && rq->data && type && !strncasecmp(type, "application/x-ndjson", 20);
}

/* CURLOPT_WRITEFUNCTION. What went wrong here is kept aside, since libcurl only hears that it did.
 */
static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    struct api_answer *a = t->answer;
    size_t len = size * n;
    if (is_streamed(t->client, t->rq)) {
        t->result = t->rq->data(t->rq->arg, data, len, t->e);
        return t->result < 0 ? CURL_WRITEFUNC_ERROR : len;
    }
    if (buf_append(&a->body, data, len) == 0)
        return len;
    t->result = err_set(t->e, ERR_UNAVAILABLE, "the daemon's answer is longer than %llu MiB",
                        CLI_ANSWER_MAX_BYTES / MIB);
    return CURL_WRITEFUNC_ERROR;
}

static int add_header(struct api_client *c, const char *line)
{
    struct curl_slist *list = curl_slist_append(c->headers, line);
    if (!list)
        return -ENOMEM;
    c->headers = list;
    return 0;
}

static int set_headers(struct api_client *c, const struct api_request *rq)
{
    curl_slist_free_all(c->headers);
    c->headers = NULL;
    int r = add_header(c, rq->stream ? "Accept: application/x-ndjson" : "Accept: application/json");
    if (r == 0 && c->key_header)
        r = add_header(c, c->key_header);
    if (r == 0 && rq->body)
        r = add_header(c, "Content-Type: application/json");
    /* No waiting for "100 Continue" before a larger body: it only costs a round trip. */
    return r == 0 && rq->body ? add_header(c, "Expect:") : r;
}

static int set_up(struct transfer *t, const char *url)
{
    struct api_client *c = t->client;
    const struct api_request *rq = t->rq;
    CURL *h = c->easy;
    curl_easy_reset(h);
    c->why[0] = '\0';
    if (set_headers(c, rq) < 0)
        return -ENOMEM;
    if (curl_easy_setopt(h, CURLOPT_URL, url) != CURLE_OK)
        return -ENOMEM;
    curl_easy_setopt(h, CURLOPT_HTTPHEADER, c->headers);
    curl_easy_setopt(h, CURLOPT_ERRORBUFFER, c->why);
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT, (long)CLI_CONNECT_TIMEOUT_S);
    curl_easy_setopt(h, CURLOPT_TIMEOUT, (long)rq->timeout_s);
    curl_easy_setopt(h, CURLOPT_USERAGENT, "holm/" HOLM_VERSION);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, t);
    if (c->socket)
        curl_easy_setopt(h, CURLOPT_UNIX_SOCKET_PATH, c->socket);
    /* A proxy of the environment cannot reach this machine's own loopback. */
    if (c->loopback)
        curl_easy_setopt(h, CURLOPT_PROXY, "");
    if (rq->body) {
        curl_easy_setopt(h, CURLOPT_POST, 1L);
        curl_easy_setopt(h, CURLOPT_POSTFIELDS, rq->body);
        curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)rq->body_len);
    }
    return 0;
}

/* Runs the transfer to its end; -ECANCELED when a signal came first. */
static int drive(struct api_client *c, CURLcode *ret)
{
    int running = 1;
    while (running) {
        struct curl_waitfd extra = {.fd = c->interrupt->fd, .events = CURL_WAIT_POLLIN};
        if (curl_multi_perform(c->multi, &running) != CURLM_OK)
            return -EIO;
        if (interrupt_signal(c->interrupt))
            return -ECANCELED;
        if (c->progress)
            progress_tick(c->progress);
        if (running)
            curl_multi_poll(c->multi, &extra, 1, c->progress ? PROGRESS_TICK_MS : 1000, NULL);
    }
    int left;
    CURLMsg *m = curl_multi_info_read(c->multi, &left);
    *ret = m ? m->data.result : CURLE_RECV_ERROR;
    return 0;
}

/* What to tell when there was no answer, by what a user can do about it. */
static int explain(struct api_client *c, CURLcode code, int timeout_s, struct err *e)
{
    const char *why = c->why[0] ? c->why : curl_easy_strerror(code);
    long os_errno = 0;
    curl_easy_getinfo(c->easy, CURLINFO_OS_ERRNO, &os_errno);
    if (code == CURLE_COULDNT_CONNECT && os_errno)
        why = strerror((int)os_errno); /* "Connection refused" says it all */
    switch (code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
        return err_set(e, ERR_UNAVAILABLE,
                       "no daemon answers at %s (%s); start it with ./demo or 'systemctl start "
                       "holmd', or set HOLM_URL or --url to where it listens",
                       c->url, why);
    case CURLE_OPERATION_TIMEDOUT:
        return err_set(e, ERR_TIMEOUT,
                       "the daemon at %s did not answer within %d s; 'holm status' shows whether "
                       "it is alive",
                       c->url, timeout_s);
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
        return err_set(e, ERR_UNAVAILABLE,
                       "the connection to the daemon at %s was lost (%s); 'holm status' shows "
                       "whether it is alive",
                       c->url, why);
    default:
        return err_set(e, ERR_UNAVAILABLE, "the request to %s failed: %s", c->url, why);
    }
}

int api_client_send(struct api_client *c, const struct api_request *rq, struct api_answer *ret,
                    struct err *e)
{
    auto_free char *url = NULL;
    auto_api_answer struct api_answer answer = {.body.max_bytes = CLI_ANSWER_MAX_BYTES};
    struct transfer t = {.client = c, .rq = rq, .answer = &answer, .e = e};
    if (asprintf(&url, "%s%s", c->base, rq->path) < 0 || set_up(&t, url) < 0)
        return err_errno(e, -ENOMEM, "make a request");
    CURLcode code = CURLE_OK;
    curl_multi_add_handle(c->multi, c->easy);
    int r = drive(c, &code);
    long status = 0;
    curl_off_t retry_after_s = 0;
    curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(c->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    answer.streamed = is_streamed(c, rq);
    curl_multi_remove_handle(c->multi, c->easy);
    if (r == -ECANCELED || t.result == -ECANCELED)
        return -ECANCELED;
    if (r < 0)
        return err_errno(e, r, "send a request to %s", c->url);
    if (t.result < 0)
        return t.result;
    if (code != CURLE_OK)
        return explain(c, code, rq->timeout_s, e);
    answer.status = (int)status;
    answer.retry_after_s = retry_after_s < 1 ? 1 : retry_after_s > 60 ? 60 : (int)retry_after_s;
    *ret = answer;
    answer = (struct api_answer){0};
    return 0;
}

int api_answer_json(const struct api_answer *a, json_t **ret, struct err *e)
{
    json_t *o = json_loadb(buf_str(&a->body), a->body.len, JSON_ALLOW_NUL, NULL);
    if (json_is_object(o)) {
        *ret = o;
        return 0;
    }
    json_decref(o);
    return err_set(e, ERR_UNAVAILABLE, "the answer is not a JSON object");
}

/* The class whose meaning is nearest; only used to tell errors apart in this program. */
static enum err_class class_of(int status)
{
    static const struct {
        int status;
        enum err_class class;
    } rows[] = {
        {400, ERR_INVALID}, {401, ERR_UNAUTHORIZED}, {403, ERR_FORBIDDEN}, {404, ERR_NOT_FOUND},
        {405, ERR_METHOD},  {409, ERR_CONFLICT},     {413, ERR_TOO_LARGE}, {415, ERR_UNSUPPORTED},
        {429, ERR_FULL},    {502, ERR_UNAVAILABLE},  {503, ERR_FULL},      {504, ERR_TIMEOUT},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].status == status)
            return rows[i].class;
    }
    return ERR_INTERNAL;
}

int api_answer_error(const struct api_client *c, const struct api_answer *a, struct err *e)
{
    auto_json json_t *o = NULL;
    (void)api_answer_json(a, &o, NULL);
    const char *text = json_text(o, "error");
    if (!*text)
        return err_set(e, class_of(a->status),
                       "%s answers status %d and no reason; is it the address of a holmd?", c->url,
                       a->status);
    const char *hint = "";
    if (a->status == 401 || a->status == 403)
        hint = "; give a key with --key or HOLM_API_KEY";
    else if (a->status >= 500 && a->status != 503)
        hint = "; the daemon's log says more";
    return err_set(e, class_of(a->status), "%.500s%s", text, hint);
}

int api_client_get(struct api_client *c, const char *path, json_t **ret, struct err *e)
{
    auto_api_answer struct api_answer a = {0};
    struct api_request rq = {.path = path, .timeout_s = CLI_REQUEST_TIMEOUT_S};
    int r = api_client_send(c, &rq, &a, e);
    if (r < 0)
        return r;
    if (a.status != 200)
        return api_answer_error(c, &a, e);
    r = api_answer_json(&a, ret, e);
    return r < 0 ? err_wrap(e, r, "%s%s", c->url, path) : 0;
}

void api_answer_done(struct api_answer *a)
{
    buf_done(&a->body);
}
