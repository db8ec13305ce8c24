/* SPDX-License-Identifier: Apache-2.0 */

/* Why libcurl's multi interface for one request at a time: its poll also takes our own descriptors,
 * so one wait covers the network, a signal and the next frame of the progress line, without threads
 * and without anything happening in a signal handler. Closing the connection is how a run is
 * cancelled, so the easy handle is always taken out of the multi handle before we return: that
 * closes a connection whose answer was not complete, and keeps one that was for the next request.
 */

#include "cli/api_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/api_client_impl.h"

/* As holmd's `listen` writes it; the slash is the path's first. */
#define UNIX_PREFIX "unix:/"

/* By name, not by resolving: it decides about the proxy, and who may see this machine's own key. */
static bool is_loopback(const char *host)
{
    struct in_addr a;
    return !strcmp(host, "localhost") || !strcmp(host, "[::1]") ||
           (inet_pton(AF_INET, host, &a) == 1 && ntohl(a.s_addr) >> 24 == 127);
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
static int check_key(const char *key, const char *source, struct err *e)
{
    for (const char *c = key; *c; c++) {
        if ((unsigned char)*c < 0x21 || *c == 0x7f)
            return err_set(e, ERR_INVALID, "the API key has spaces or control characters; check %s",
                           source);
    }
    return 0;
}

int api_client_new(const char *url, struct interrupt *interrupt, struct api_client **ret,
                   struct err *e)
{
    bool loopback;
    int r = check_url(url, &loopback, e);
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
    if (!c->url || !c->easy || !c->multi)
        return err_errno(e, -ENOMEM, "make an HTTP client");
    *ret = TAKE_PTR(c);
    return 0;
}

void api_client_free(struct api_client *c)
{
    if (!c)
        return;
    if (c->is_socket)
        curl_multi_remove_handle(c->multi, c->easy);
    curl_multi_cleanup(c->multi);
    curl_easy_cleanup(c->easy);
    curl_slist_free_all(c->headers);
    free(c->key_header);
    free(c->key_source);
    free(c->url);
    free(c);
}

int api_client_set_key(struct api_client *c, const char *key, const char *source, struct err *e)
{
    int r = check_key(key, source, e);
    if (r < 0)
        return r;
    auto_free char *header = NULL;
    auto_free char *from = strdup(source);
    if (asprintf(&header, "X-API-Key: %s", key) < 0 || !from)
        return err_errno(e, -ENOMEM, "make an HTTP client");
    free(c->key_header);
    free(c->key_source);
    c->key_header = TAKE_PTR(header);
    c->key_source = TAKE_PTR(from);
    return 0;
}

const char *api_client_key_source(const struct api_client *c)
{
    return c->key_source;
}

bool api_client_is_local(const struct api_client *c)
{
    return c->loopback;
}

bool api_client_has_asked(const struct api_client *c)
{
    return c->has_asked;
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
    if (status != 200 || !rq->data)
        return false;
    return rq->raw || (type && !strncasecmp(type, "application/x-ndjson", 20));
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

static size_t fail_source(struct transfer *t, int r, const char *what)
{
    t->result = err_errno(t->e, r, "%s", what);
    return CURL_READFUNC_ABORT;
}

/* CURLOPT_READFUNCTION. A pipe with nothing in it pauses the transfer, so that an answer which
 * comes early (a refusal) and Ctrl-C are heard meanwhile. */
static size_t on_source(char *data, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    const struct api_upload *up = t->rq->upload;
    size_t len = size * n;
    struct pollfd p = {.fd = up->fd, .events = POLLIN};
    if (up->size >= 0 && (int64_t)len > up->size - t->sent)
        len = (size_t)(up->size - t->sent);
    if (!len)
        return 0;
    if (poll(&p, 1, 0) == 0) {
        t->source_waits = true;
        return CURL_READFUNC_PAUSE;
    }
    ssize_t got = read(up->fd, data, len);
    if (got < 0)
        return fail_source(t, -errno, "read what is to be sent");
    if (got == 0 && up->size >= 0)
        return fail_source(t, -ENODATA, "it became shorter while it was read");
    t->sent += got;
    return (size_t)got;
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
    char type[80];
    snprintf(type, sizeof(type), "Content-Type: %s",
             rq->upload ? rq->upload->type : "application/json");
    curl_slist_free_all(c->headers);
    c->headers = NULL;
    int r = add_header(c, rq->raw      ? "Accept: */*"
                          : rq->stream ? "Accept: application/x-ndjson"
                                       : "Accept: application/json");
    if (r == 0 && c->key_header)
        r = add_header(c, c->key_header);
    if (r == 0 && (rq->body || rq->upload))
        r = add_header(c, type);
    /* No waiting for "100 Continue" before a JSON body: it only costs a round trip. */
    return r == 0 && rq->body ? add_header(c, "Expect:") : r;
}

static void set_body(struct transfer *t)
{
    CURL *h = t->client->easy;
    const struct api_request *rq = t->rq;
    if (rq->body) {
        curl_easy_setopt(h, CURLOPT_POST, 1L);
        curl_easy_setopt(h, CURLOPT_POSTFIELDS, rq->body);
        curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)rq->body_len);
    }
    if (rq->upload) {
        curl_easy_setopt(h, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(h, CURLOPT_UPLOAD_BUFFERSIZE, (long)CLI_UPLOAD_BUFFER_BYTES);
        curl_easy_setopt(h, CURLOPT_INFILESIZE_LARGE, (curl_off_t)rq->upload->size);
        curl_easy_setopt(h, CURLOPT_READFUNCTION, on_source);
        curl_easy_setopt(h, CURLOPT_READDATA, t);
    }
    if (rq->method)
        curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, rq->method);
}

void api_client_set_connection(struct api_client *c)
{
    CURL *h = c->easy;
    curl_easy_reset(h);
    c->why[0] = '\0';
    curl_easy_setopt(h, CURLOPT_ERRORBUFFER, c->why);
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT, (long)CLI_CONNECT_TIMEOUT_S);
    if (c->socket)
        curl_easy_setopt(h, CURLOPT_UNIX_SOCKET_PATH, c->socket);
    /* A proxy of the environment cannot reach this machine's own loopback. */
    if (c->loopback)
        curl_easy_setopt(h, CURLOPT_PROXY, "");
}

int api_transfer_set_up(struct transfer *t)
{
    struct api_client *c = t->client;
    CURL *h = c->easy;
    auto_free char *url = NULL;
    api_client_set_connection(c);
    if (asprintf(&url, "%s%s", c->base, t->rq->path) < 0 || set_headers(c, t->rq) < 0 ||
        curl_easy_setopt(h, CURLOPT_URL, url) != CURLE_OK)
        return err_errno(t->e, -ENOMEM, "make a request");
    curl_easy_setopt(h, CURLOPT_HTTPHEADER, c->headers);
    curl_easy_setopt(h, CURLOPT_TIMEOUT, (long)t->rq->timeout_s);
    curl_easy_setopt(h, CURLOPT_USERAGENT, "holm/" HOLM_VERSION);
    curl_easy_setopt(h, CURLOPT_BUFFERSIZE, (long)CLI_DOWNLOAD_BUFFER_BYTES);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, t);
    set_body(t);
    c->has_asked = true;
    return 0;
}

/* How far the body has come that matters: the one we send, else the one that comes. */
static void tell_moved(const struct transfer *t)
{
    curl_off_t done = 0, total = -1;
    const struct api_request *rq = t->rq;
    if (!rq->moved)
        return;
    if (rq->upload) {
        done = t->sent;
        total = rq->upload->size;
    } else {
        curl_easy_getinfo(t->client->easy, CURLINFO_SIZE_DOWNLOAD_T, &done);
        curl_easy_getinfo(t->client->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &total);
    }
    rq->moved(rq->arg, done, total);
}

/* Waits for the network, a signal, the upload's source, or the next frame of the progress line. */
static void wait_for_more(struct transfer *t)
{
    struct api_client *c = t->client;
    struct curl_waitfd extra[2] = {{.fd = c->interrupt->fd, .events = CURL_WAIT_POLLIN}};
    unsigned n = 1;
    if (t->source_waits)
        extra[n++] = (struct curl_waitfd){.fd = t->rq->upload->fd, .events = CURL_WAIT_POLLIN};
    curl_multi_poll(c->multi, extra, n, c->progress ? PROGRESS_TICK_MS : 1000, NULL);
    /* The pipe's end comes as POLLHUP, which libcurl does not pass on; so it is asked again after
     * any wait. */
    if (t->source_waits) {
        t->source_waits = false;
        curl_easy_pause(c->easy, CURLPAUSE_CONT);
    }
}

int api_client_drive(struct transfer *t, CURLcode *ret)
{
    struct api_client *c = t->client;
    int running = 1, left;
    while (running) {
        if (curl_multi_perform(c->multi, &running) != CURLM_OK)
            return -EIO;
        if (interrupt_signal(c->interrupt))
            return -ECANCELED;
        tell_moved(t);
        if (c->progress)
            progress_tick(c->progress);
        if (running)
            wait_for_more(t);
    }
    *ret = CURLE_RECV_ERROR;
    for (CURLMsg *m; (m = curl_multi_info_read(c->multi, &left));) {
        if (m->easy_handle == c->easy)
            *ret = m->data.result;
    }
    return 0;
}

int api_client_explain(struct api_client *c, CURLcode code, int timeout_s, struct err *e)
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
                       c->url, timeout_s ? timeout_s : CLI_CONNECT_TIMEOUT_S);
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

int api_transfer_finish(struct transfer *t, CURLcode code, struct api_answer *ret)
{
    struct api_client *c = t->client;
    long status = 0;
    curl_off_t retry_after_s = 0;
    if (t->result < 0)
        return t->result;
    if (code != CURLE_OK)
        return api_client_explain(c, code, t->rq->timeout_s, t->e);
    curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(c->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    t->answer->streamed = is_streamed(c, t->rq);
    t->answer->status = (int)status;
    t->answer->retry_after_s = retry_after_s < 1 ? 1 : retry_after_s > 60 ? 60 : (int)retry_after_s;
    *ret = *t->answer;
    *t->answer = (struct api_answer){0};
    return 0;
}

int api_client_send(struct api_client *c, const struct api_request *rq, struct api_answer *ret,
                    struct err *e)
{
    auto_api_answer struct api_answer answer = {.body.max_bytes = CLI_ANSWER_MAX_BYTES};
    struct transfer t = {.client = c, .rq = rq, .answer = &answer, .e = e};
    CURLcode code = CURLE_OK;
    int r = api_transfer_set_up(&t);
    if (r < 0)
        return r;
    curl_multi_add_handle(c->multi, c->easy);
    r = api_client_drive(&t, &code);
    if (r < 0 && r != -ECANCELED)
        err_errno(e, r, "send a request to %s", c->url);
    if (r == 0)
        r = api_transfer_finish(&t, code, ret);
    curl_multi_remove_handle(c->multi, c->easy);
    return r;
}

void api_answer_done(struct api_answer *a)
{
    buf_done(&a->body);
}
