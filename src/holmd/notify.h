/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Tells systemd how we are, over the datagram socket of NOTIFY_SOCKET (see sd_notify(3) for the
 * words). Nothing happens when there is none. */
void notify_systemd(const char *state);
