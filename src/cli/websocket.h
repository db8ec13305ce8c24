/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A WebSocket (RFC 6455), the client's side, that does not block: whoever has one polls
 * websocket_fd for websocket_events and calls websocket_step. What comes is passed on as it comes
 * and never held, so no message is too long. Pings are answered. Thread: the main one. */

#include <stdbool.h>

#include "cli/api_client.h"

struct websocket;

struct websocket_config {
    /* Gets the bytes of messages, text or not. A negative return ends the step, which returns it.
     * May wait in interrupt_wait. */
    int (*data)(void *arg, const char *data, size_t len, struct err *e);
    void *arg;
};

/* Connects with `c`, which it owns from now on, also when it fails: asks for `path` and shakes
 * hands. A refusal is an error made by api_answer_error; -ECANCELED when a signal came. */
int websocket_open(struct api_client *c, struct interrupt *interrupt, const char *path,
                   struct websocket **ret, struct err *e);
void websocket_free(struct websocket *ws);
DEFINE_AUTO(struct websocket *, websocket_free)
#define auto_websocket CLEANUP(websocket_freep)

/* Before the first step. */
void websocket_set(struct websocket *ws, const struct websocket_config *config);

int websocket_fd(const struct websocket *ws);
short websocket_events(const struct websocket *ws);

/* Whether the last step has left something that no poll will tell of: step again at once. */
bool websocket_has_more(const struct websocket *ws);

/* Does what can be done without waiting, a bounded amount of it. ERR_UNAVAILABLE when the
 * connection is lost or speaks no WebSocket. */
int websocket_step(struct websocket *ws, struct err *e);

/* Queues a message; the next steps send it. websocket_queued: bytes that wait to be sent. */
int websocket_send(struct websocket *ws, bool is_text, const void *data, size_t len);
size_t websocket_queued(const struct websocket *ws);

/* Says goodbye; it is over once the server has answered. */
void websocket_close(struct websocket *ws);

/* Whether the server has said that it is over; with the code, and the reason made harmless. */
bool websocket_is_over(const struct websocket *ws, int *ret_code, const char **ret_reason);
