/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The handshake of a WebSocket (RFC 6455, section 4), the client's side: bytes only. Any thread. */

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define UPGRADE_KEY_SIZE 25 /* 16 bytes in base64 */
#define UPGRADE_HEAD_MAX_BYTES (16 << 10)

/* A fresh key for Sec-WebSocket-Key. */
void upgrade_key(char ret[UPGRADE_KEY_SIZE]);

/* The header lines that ask for it. */
int upgrade_headers(const char *key, struct buf *ret);

/* What a server has to answer to a key, appended. */
int upgrade_accept(const char *key, struct buf *ret);

/* The head of the answer. */
struct upgrade_answer {
    int status;
    size_t head_len;   /* with the empty line */
    bool is_right;     /* a 101 that says what it must */
    size_t body_len;   /* of any other answer */
    bool has_body_len; /* else it goes on to the end of the connection */
};

/* -EAGAIN: the head has not ended yet; -EPROTO: it is none. */
int upgrade_parse(const char *data, size_t len, const char *key, struct upgrade_answer *ret);
