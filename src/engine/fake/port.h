/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The fake guest's virtio port: one connection, on it the hello and one HTTP/2 session at a time.
 * Like the real port it starts without a session and wants a hello. Thread: the monitor's only one.
 */

#include <stdbool.h>

#include "base/buf.h"
#include "engine/fake/guest.h"
#include "wire/hello.h"

/* PORT_SILENT takes everything and says nothing; PORT_GARBAGE answers hellos and then talks
 * nonsense. */
enum port_fault { PORT_FINE, PORT_SILENT, PORT_GARBAGE };

struct port {
    int fd; /* negative: nobody is connected */
    enum port_fault fault;
    struct guest *guest;
    struct hello_server hello;
    struct agent_server *server; /* NULL: no session */
    struct buf out;
    bool is_full; /* the last write did not take all: wait for EPOLLOUT */
};

void port_init(struct port *p, struct guest *g, enum port_fault fault);

/* Takes `fd`, non-blocking; nobody else may be connected. */
void port_connect(struct port *p, int fd);
void port_hang_up(struct port *p);

/* Reads what is there; hangs up when the peer has. */
void port_read(struct port *p);

/* Sends what can be sent without blocking, unless the guest dies over it. */
void port_flush(struct port *p);
