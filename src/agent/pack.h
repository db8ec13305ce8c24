/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* GET /v1/tar: what is in a directory, or one file, as a tar that is made while it is sent. Files,
 * directories and links are in it, sockets and devices are not. No link on the way there is
 * followed. What changes meanwhile is in it as it is met; a file that becomes shorter is filled up
 * with zeros, since its header has been sent. What cannot be read resets the stream, so that nobody
 * takes half of an archive for all of it. */

#include "agent/call.h"

void pack_begin(struct call *c);
void pack_closed(struct call *c);
