/* SPDX-License-Identifier: Apache-2.0 */

/* Arbitrary bytes from a guest into a client with requests open. The first byte says in what sizes
 * of pieces the rest comes; with its top bit set the bytes come instead of the hello's answer, else
 * behind it. What is checked besides the sanitizers: no event after the last one of a request, no
 * more data than the window allows, no answer from an ended session. */
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "wire/agent_client.h"
#include "wire/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUESTS 4

struct request {
    int32_t id;
    size_t body_left;
    size_t received;
    bool closed;
};

static ssize_t on_pull(void *arg, void *out, size_t max, bool *ret_end)
{
    struct request *rq = arg;
    assert(!rq->closed);
    size_t n = rq->body_left < max ? rq->body_left : max;
    memset(out, 'b', n);
    rq->body_left -= n;
    *ret_end = rq->body_left == 0;
    return (ssize_t)n;
}

static void on_sent(void *arg)
{
    assert(!((struct request *)arg)->closed);
}

static void on_head(void *arg, int status)
{
    assert(!((struct request *)arg)->closed && status >= 200 && status <= 999);
}

static void on_data(void *arg, const void *data, size_t len)
{
    struct request *rq = arg;
    assert(!rq->closed && len > 0);
    rq->received += len;
    assert(rq->received <= AGENT_WINDOW_BYTES);
}

static void on_closed(void *arg, bool complete, uint32_t h2_error)
{
    struct request *rq = arg;
    assert(!rq->closed);
    rq->closed = true;
}

static const struct agent_client_ops ops = {on_pull, on_sent, on_head, on_data, on_closed};

static void take(struct agent_client *c, char line[HELLO_LINE_LEN])
{
    const void *out;
    ssize_t n;
    while ((n = agent_client_take(c, &out)) > 0) {
        if (line && n == HELLO_LINE_LEN)
            memcpy(line, out, HELLO_LINE_LEN);
    }
}

static void feed(struct agent_client *c, struct request *rqs, const uint8_t *data, size_t size)
{
    const size_t piece = 1 + (size ? data[0] & 0x7f : 0) * 16;
    for (size_t at = 1; at < size; at += piece) {
        if (agent_client_feed(c, data + at, size - at < piece ? size - at : piece) < 0)
            assert(agent_client_state(c) == AGENT_CLIENT_ENDED);
        take(c, NULL);
        for (int i = 0; i < REQUESTS / 2; i++) {
            agent_client_consume(c, rqs[i].id, rqs[i].received);
            rqs[i].received = 0;
        }
        agent_client_cancel(c, at == 1 + piece ? rqs[REQUESTS - 1].id : 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct request rqs[REQUESTS] = {{0}, {.body_left = 10}, {.body_left = 100000}, {0}};
    char line[HELLO_LINE_LEN] = "";
    struct agent_client *c;
    if (agent_client_new(&ops, &c) < 0)
        return 0;
    for (int i = 0; i < REQUESTS; i++)
        rqs[i].id = agent_client_open(c, "POST", "/v1/exec", rqs[i].body_left > 0, &rqs[i]);
    agent_client_hello(c);
    take(c, line);
    if (!size || !(data[0] & 0x80))
        agent_client_feed(c, line, sizeof(line));
    take(c, NULL);
    feed(c, rqs, data, size);
    agent_client_free(c);
    return 0;
}
