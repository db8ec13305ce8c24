/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* `POST /v1/accept`, and the connections that programs make to who waits there. Thread: the
 * monitor's only one. */

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "engine/fake/script.h"

struct call;
struct guest;
struct program;

/* One request. Without a program it waits. */
struct accept {
    struct call *call;
    struct accept *next;
    char address[SCRIPT_ADDRESS_SIZE];
    int port;
    struct program *program;
    bool was_connected;
    struct buf to_client;  /* what the program sends */
    bool program_ended;    /* it sends no more */
    struct buf to_program; /* what came and was not read; its window was not given back */
    bool client_ended;
};

/* ACCEPT_REFUSED: nobody listens there. ACCEPT_LATER: somebody does, who has another connection. */
enum accept_result { ACCEPT_CONNECTED, ACCEPT_LATER, ACCEPT_REFUSED };

/* Connects a program (its script's event says where to) and sends what it has to send. */
enum accept_result accept_connect(struct program *p);
/* Takes up to `max` bytes of what the client sent from the front; the caller looks at them first.
 */
void accept_consumed(struct accept *a, size_t len);
/* The program is done with its connection. */
void accept_close(struct program *p);

void accept_begin(struct call *c);
void accept_body(struct call *c, const uint8_t *data, size_t len);
void accept_body_end(struct call *c);
void accept_closed(struct call *c);
