/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "wire/agent_server.h"
#include "wire/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int open_streams;

/* Answers in different ways, depending on the path's length. */
static ssize_t pull(struct agent_stream *st, uint8_t *buf, size_t size)
{
    assert(size > 0);
    memset(buf, 'x', size);
    return (intptr_t)(st->data = (void *)((intptr_t)st->data + 1)) < 4 ? (ssize_t)size
                                                                       : AGENT_PULL_END;
}

static void on_request(struct agent_stream *st)
{
    open_streams++;
    size_t kind = strlen(st->path) % 4;
    if (kind == 0)
        agent_server_respond_pull(st, 200, "text/plain", pull);
    if (kind == 1)
        agent_server_respond(st, 404, "text/plain", st->query, strlen(st->query));
    if (kind == 2)
        agent_server_abort(st);
}

static void on_body(struct agent_stream *st, const uint8_t *data, size_t len)
{
    if (len % 2)
        agent_server_consume(st, len);
}

static void on_body_end(struct agent_stream *st)
{
    if (!agent_server_has_responded(st))
        agent_server_respond(st, 200, "text/plain", "", 0);
}

static void on_closed(struct agent_stream *st)
{
    open_streams--;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct agent_server_ops ops = {on_request, on_body, on_body_end, on_closed};
    struct agent_server *s;
    auto_buf struct buf out = {0};
    if (agent_server_new(&ops, NULL, &s) < 0)
        return 0;
    int r = agent_server_feed(s, HELLO_PREFACE, HELLO_PREFACE_LEN);
    for (size_t at = 0, n; at < size && r == 0; at += n) {
        n = size - at < 64 ? size - at : 64;
        r = agent_server_feed(s, data + at, n);
        agent_server_pull(s, &out, 1 << 16);
        buf_clear(&out);
    }
    agent_server_free(s);
    assert(open_streams == 0);
    return 0;
}
