/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* SHA-1 (FIPS 180-4), which the WebSocket handshake asks for. It is broken as a signature: nothing
 * else may use it. Any thread. */

#include <stddef.h>

#define SHA1_BYTES 20

void sha1(const void *data, size_t len, unsigned char ret[SHA1_BYTES]);
