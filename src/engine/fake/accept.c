/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fake/accept.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "engine/fake/call.h"
#include "engine/fake/program.h"

static bool is_for(const struct accept *a, const struct program *p)
{
    return a->port == p->event.number && strcmp(a->address, p->script.address) == 0;
}

static ssize_t pull(struct agent_stream *st, uint8_t *buf, size_t size)
{
    struct call *c = st->data;
    struct accept *a = c->data;
    size_t n = a->to_client.len < size ? a->to_client.len : size;
    if (a->to_client.failed)
        return AGENT_PULL_ABORT;
    if (n == 0)
        return a->program_ended ? AGENT_PULL_END : AGENT_PULL_LATER;
    memcpy(buf, a->to_client.data, n);
    buf_consume(&a->to_client, n);
    return (ssize_t)n;
}

/* A connection's two directions end on their own. */
static int open_connection(struct accept *a, struct program *p)
{
    a->call->stream->duplex = true;
    int r = agent_server_respond_pull(a->call->stream, 200, "application/octet-stream", pull);
    if (r < 0)
        return r;
    buf_append(&a->to_client, p->event.data, p->event.len);
    a->program_ended = true; /* it sends one text, then it only listens */
    a->was_connected = true;
    a->program = p;
    p->accept = a;
    return 0;
}

enum accept_result accept_connect(struct program *p)
{
    enum accept_result result = ACCEPT_REFUSED;
    for (struct accept *a = p->guest->accepts; a; a = a->next) {
        if (!is_for(a, p))
            continue;
        if (!a->was_connected && open_connection(a, p) == 0)
            return ACCEPT_CONNECTED;
        result = ACCEPT_LATER;
    }
    return result;
}

void accept_consumed(struct accept *a, size_t len)
{
    buf_consume(&a->to_program, len);
    agent_server_consume(a->call->stream, len);
}

void accept_close(struct program *p)
{
    struct accept *a = TAKE_PTR(p->accept);
    if (!a)
        return;
    accept_consumed(a, a->to_program.len);
    a->program = NULL;
    agent_server_resume(a->call->stream);
}

/* Whoever waits for a connection looks again. */
static void poke_waiting(struct guest *g)
{
    for (struct program *p = g->programs; p; p = p->next)
        if (!p->ended && p->event.op == SCRIPT_CONNECT && !p->accept)
            program_poke(p);
}

static bool is_address(const char *text)
{
    struct in6_addr any;
    return inet_pton(AF_INET, text, &any) == 1 || inet_pton(AF_INET6, text, &any) == 1;
}

void accept_begin(struct call *c)
{
    static const char *const names[] = {"port", "address", NULL};
    struct err e = ERR_INIT;
    int64_t port = 0;
    char address[SCRIPT_ADDRESS_SIZE] = "127.0.0.1";
    int r = call_params_only(c, names, &e);
    r = r < 0 ? r : call_number(c, "port", 10, 65535, &port, &e);
    if (r >= 0 && port < 1)
        r = err_field(&e, "port", "port must be a number from 1 to 65535");
    r = r < 0 ? r : call_param(c, "address", address, sizeof(address), &e);
    if (r >= 0 && !is_address(address))
        r = err_field(&e, "address", "address is none of IPv4 or IPv6");
    if (r < 0) {
        call_fail(c, 0, &e);
        return;
    }
    struct accept *a = calloc(1, sizeof(*a)), **at = &c->guest->accepts;
    if (!a) {
        call_abort(c);
        return;
    }
    a->call = c;
    a->port = (int)port;
    memcpy(a->address, address, sizeof(address));
    while (*at) /* first come, first served */
        at = &(*at)->next;
    *at = a;
    c->data = a;
    poke_waiting(c->guest);
}

void accept_body(struct call *c, const uint8_t *data, size_t len)
{
    struct accept *a = c->data;
    bool is_lost = a->was_connected && !a->program;
    if (is_lost || buf_append(&a->to_program, data, len) < 0)
        agent_server_consume(c->stream, len);
    if (a->program)
        program_poke(a->program);
}

void accept_body_end(struct call *c)
{
    struct accept *a = c->data;
    a->client_ended = true;
    if (a->program)
        program_poke(a->program);
}

void accept_closed(struct call *c)
{
    struct accept *a = c->data, **at = &c->guest->accepts;
    if (!a)
        return;
    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    struct program *p = a->program;
    if (p) {
        p->accept = NULL;
        script_next(&p->script, &p->event);
        program_poke(p);
    }
    poke_waiting(c->guest);
    buf_done(&a->to_client);
    buf_done(&a->to_program);
    free(a);
}
