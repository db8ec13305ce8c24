/* SPDX-License-Identifier: Apache-2.0 */

/* Both transfers live in one multi handle. Each side is paused while the buffer has no room, or
 * nothing, for it; so memory stays bounded and the slower side sets the pace. The put begins only
 * when the get's head has come: it then knows the length, and a refusal puts nothing. */

#include "cli/api_copy.h"

#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "cli/api_client_impl.h"

struct copy {
    const struct api_copy *what;
    struct transfer get, put;
    struct api_answer get_answer, put_answer;
    struct api_upload upload; /* with the length once it is known */
    struct api_request put_rq;
    struct buf between;
    bool get_paused, put_paused;
    bool get_done, put_done, put_begun;
    CURLcode get_code, put_code;
};

static bool get_is_good(const struct copy *c)
{
    long status = 0;
    curl_easy_getinfo(c->what->from->easy, CURLINFO_RESPONSE_CODE, &status);
    return status == 200;
}

/* CURLOPT_WRITEFUNCTION of the get. */
static size_t on_got(char *data, size_t size, size_t n, void *arg)
{
    struct copy *c = arg;
    size_t len = size * n;
    if (!get_is_good(c))
        return buf_append(&c->get_answer.body, data, len) < 0 ? CURL_WRITEFUNC_ERROR : len;
    if (c->between.len && c->between.len + len > CLI_COPY_BUFFER_BYTES) {
        c->get_paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    return buf_append(&c->between, data, len) < 0 ? CURL_WRITEFUNC_ERROR : len;
}

/* CURLOPT_READFUNCTION of the put. */
static size_t on_wanted(char *data, size_t size, size_t n, void *arg)
{
    struct copy *c = arg;
    size_t len = size * n < c->between.len ? size * n : c->between.len;
    if (!len && c->get_done)
        return c->get_code == CURLE_OK ? 0 : CURL_READFUNC_ABORT;
    if (!len) {
        c->put_paused = true;
        return CURL_READFUNC_PAUSE;
    }
    memcpy(data, c->between.data, len);
    buf_consume(&c->between, len);
    c->put.sent += (int64_t)len;
    return len;
}

static int begin_put(struct copy *c)
{
    CURL *h = c->what->to->easy;
    curl_off_t length = -1;
    curl_easy_getinfo(c->what->from->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    c->upload = *c->what->put->upload;
    c->upload.size = length;
    c->put_rq = *c->what->put;
    c->put_rq.upload = &c->upload;
    c->put.rq = &c->put_rq;
    int r = api_transfer_set_up(&c->put);
    if (r < 0)
        return r;
    curl_easy_setopt(h, CURLOPT_READFUNCTION, on_wanted);
    curl_easy_setopt(h, CURLOPT_READDATA, c);
    curl_multi_add_handle(c->what->to->multi, h);
    c->put_begun = true;
    return 0;
}

static void take_results(struct copy *c)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(c->what->to->multi, &left));) {
        if (m->easy_handle == c->what->from->easy) {
            c->get_done = true;
            c->get_code = m->data.result;
        } else {
            c->put_done = true;
            c->put_code = m->data.result;
        }
    }
}

static void unpause(struct copy *c)
{
    if (c->get_paused && c->between.len < CLI_COPY_BUFFER_BYTES / 2) {
        c->get_paused = false;
        curl_easy_pause(c->what->from->easy, CURLPAUSE_CONT);
    }
    if (c->put_paused && (c->between.len || c->get_done)) {
        c->put_paused = false;
        curl_easy_pause(c->what->to->easy, CURLPAUSE_CONT);
    }
}

static void tell(struct copy *c)
{
    const struct api_request *rq = c->what->get;
    struct progress *progress = c->what->to->progress;
    if (rq->moved && c->put_begun)
        rq->moved(rq->arg, c->put.sent, c->upload.size);
    if (progress)
        progress_tick(progress);
}

/* Until both have ended, or the get without anything to put. */
static int drive(struct copy *c)
{
    CURLM *multi = c->what->to->multi;
    struct interrupt *interrupt = c->what->to->interrupt;
    struct curl_waitfd extra = {.fd = interrupt->fd, .events = CURL_WAIT_POLLIN};
    for (;;) {
        int running;
        if (curl_multi_perform(multi, &running) != CURLM_OK)
            return -EIO;
        if (interrupt_signal(interrupt))
            return -ECANCELED;
        take_results(c);
        bool has_good_end = c->get_done && c->get_code == CURLE_OK && get_is_good(c);
        if (!c->put_begun && (c->between.len || has_good_end)) {
            int r = begin_put(c);
            if (r < 0)
                return r;
            continue;
        }
        if (c->put_done || (c->get_done && !c->put_begun))
            return 0;
        unpause(c);
        tell(c);
        curl_multi_poll(multi, &extra, 1, PROGRESS_TICK_MS, NULL);
    }
}

/* What went wrong first is what is told. */
static int finish(struct copy *c, struct api_answer *ret_get, struct api_answer *ret_put)
{
    if (c->get_done) {
        int r = api_transfer_finish(&c->get, c->get_code, ret_get);
        if (r < 0)
            return r;
    } else {
        ret_get->status = 200;
    }
    return c->put_begun ? api_transfer_finish(&c->put, c->put_code, ret_put) : 0;
}

static void copy_done(struct copy *c)
{
    curl_multi_remove_handle(c->what->to->multi, c->what->from->easy);
    if (c->put_begun)
        curl_multi_remove_handle(c->what->to->multi, c->what->to->easy);
    buf_done(&c->between);
    api_answer_done(&c->get_answer);
    api_answer_done(&c->put_answer);
}

int api_client_copy(const struct api_copy *copy, struct api_answer *ret_get,
                    struct api_answer *ret_put, struct err *e)
{
    struct copy CLEANUP(copy_done) c = {
        .what = copy,
        .get = {.client = copy->from, .rq = copy->get, .answer = &c.get_answer, .e = e},
        .put = {.client = copy->to, .rq = copy->put, .answer = &c.put_answer, .e = e},
        .get_answer.body.max_bytes = CLI_ANSWER_MAX_BYTES,
        .put_answer.body.max_bytes = CLI_ANSWER_MAX_BYTES,
    };
    int r = api_transfer_set_up(&c.get);
    if (r < 0)
        return r;
    curl_easy_setopt(copy->from->easy, CURLOPT_WRITEFUNCTION, on_got);
    curl_easy_setopt(copy->from->easy, CURLOPT_WRITEDATA, &c);
    curl_multi_add_handle(copy->to->multi, copy->from->easy);
    r = drive(&c);
    if (r == -EIO)
        err_errno(e, r, "copy between VMs");
    return r < 0 ? r : finish(&c, ret_get, ret_put);
}
