/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* For test_server.c: a request becomes a WebSocket. */

#include <microhttpd.h>

#include "cli/test_server.h"

/* Waits until all conversations are over: their clients have ended. */
void test_ws_await_all(void);

/* Answers the handshake; `talk` then runs on a thread of its own. */
enum MHD_Result test_ws_answer(struct MHD_Connection *conn, void (*talk)(struct test_socket *ws),
                               const char *query);
