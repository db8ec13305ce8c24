/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fake/port.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/id.h"
#include "base/limits.h"
#include "engine/fake/call.h"
#include "wire/agent_server.h"

#define IN_BYTES (64 * KIB)
#define OUT_HIGH_BYTES (64 * KIB)
#define OUT_MAX_BYTES (256 * KIB)
#define GARBAGE_BYTES 256

void port_init(struct port *p, struct guest *g, enum port_fault fault)
{
    *p = (struct port){.fd = -EBADF, .fault = fault, .guest = g, .out.max_bytes = OUT_MAX_BYTES};
}

static void end_session(struct port *p)
{
    if (p->server) {
        guest_session_ends(p->guest);
        agent_server_free(TAKE_PTR(p->server));
        guest_session_ended(p->guest);
    }
    p->hello = (struct hello_server){0};
    buf_clear(&p->out);
}

void port_hang_up(struct port *p)
{
    end_session(p);
    cleanup_close(&p->fd);
    p->fd = -EBADF;
    p->is_full = false;
    buf_done(&p->out);
}

void port_connect(struct port *p, int fd)
{
    assert(p->fd < 0);
    p->fd = fd;
}

/* Begins as no HTTP/2 answer can: with a frame that is longer than was agreed on. The first byte is
 * the one that ends the client's search for a hello. */
static void talk_garbage(struct port *p)
{
    uint8_t bytes[GARBAGE_BYTES];
    id_random(bytes, sizeof(bytes));
    bytes[0] = 0;
    bytes[1] = bytes[2] = 0xff;
    buf_append(&p->out, bytes, sizeof(bytes));
}

static int start_session(struct port *p)
{
    int r = agent_server_new(&call_server_ops, p->guest, &p->server);
    guest_session_begins(p->guest);
    return r < 0 ? r : agent_server_feed(p->server, HELLO_PREFACE, HELLO_PREFACE_LEN);
}

/* Outside a session. Returns how many bytes were used. */
static size_t input_hello(struct port *p, const uint8_t *data, size_t len)
{
    size_t used;
    char line[HELLO_LINE_SIZE];
    switch (hello_server_feed(&p->hello, data, len, &used)) {
    case HELLO_MORE:
        break;
    case HELLO_LINE:
        hello_line(p->hello.scan.nonce, line);
        buf_append_str(&p->out, line); /* when there is no room: it will be repeated */
        if (p->fault == PORT_GARBAGE)
            talk_garbage(p);
        break;
    case HELLO_SESSION:
        if (start_session(p) < 0)
            end_session(p);
        break;
    }
    return used;
}

static void input(struct port *p, const uint8_t *data, size_t len)
{
    while (len && p->fault != PORT_SILENT) {
        size_t used = len;
        if (!p->server) {
            used = input_hello(p, data, len);
        } else if (agent_server_feed(p->server, data, len) < 0) {
            /* No HTTP/2 any more: look for a hello in these same bytes. */
            end_session(p);
            used = 0;
        }
        data += used;
        len -= used;
    }
}

void port_read(struct port *p)
{
    static uint8_t in[IN_BYTES]; /* one thread, and never used across calls */
    ssize_t n = read(p->fd, in, sizeof(in));
    if (n > 0)
        input(p, in, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        port_hang_up(p);
}

/* Returns 0 when nothing more can be sent now. */
static int flush_once(struct port *p)
{
    int r = p->server ? agent_server_pull(p->server, &p->out, OUT_HIGH_BYTES) : 0;
    if (r < 0)
        return r;
    if (p->out.len == 0 || p->guest->end == GUEST_DIED)
        return 0;
    ssize_t n = send(p->fd, p->out.data, p->out.len, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR)
        return 1;
    p->is_full = n < 0 && errno == EAGAIN;
    if (n < 0)
        return p->is_full ? 0 : -errno;
    buf_consume(&p->out, (size_t)n);
    return 1;
}

void port_flush(struct port *p)
{
    int r = 1;
    p->is_full = false;
    while (p->fd >= 0 && r > 0)
        r = flush_once(p);
    if (r < 0)
        port_hang_up(p);
    else if (p->server && agent_server_is_done(p->server) && p->out.len == 0)
        end_session(p);
}
