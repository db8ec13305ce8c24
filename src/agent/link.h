/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A link: one byte stream (virtio-serial port or connected socket), on it hellos and one HTTP/2
 * session at a time.
 *
 * A socket's link dies with its peer. A port's link lives for ever: hang-up, bytes that are no
 * HTTP/2 and a hello in mid-session only end the session, with every command that belongs to it. */

#include <stdbool.h>
#include <stddef.h>

struct agent;
struct link;

enum link_kind { LINK_SOCKET, LINK_PORT };

/* Takes `fd` (closed on failure as well); it is made non-blocking. */
int link_new(struct agent *a, int fd, enum link_kind kind, struct link **ret);
void link_free(struct link *l);

struct agent *link_agent(const struct link *l);
struct link *link_next(const struct link *l);
bool link_is_dead(const struct link *l);
bool link_has_session(const struct link *l);

/* Takes bytes from the client. Only fuzzers call it from outside. */
void link_input(struct link *l, const void *data, size_t len);

/* Sends what can be sent without blocking. */
void link_flush(struct link *l);
