/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The HOLM/1 hello: how the two ends of a link find a common start (docs/agent-protocol.md).
 *
 * A virtio-serial port has no connections, so either end may first meet the rest of a former
 * session. The client therefore sends a line with a fresh nonce until the same line comes back;
 * only then does HTTP/2 begin. Both sides here are plain state fed with bytes as they come, in
 * pieces of any size; nothing allocates and nothing can fail. Zero-initialised is the start state
 * unless said otherwise. Thread: the owner's. */

#include <stdbool.h>
#include <stddef.h>

#define HELLO_NONCE_LEN 32
#define HELLO_NONCE_SIZE (HELLO_NONCE_LEN + 1)
#define HELLO_LINE_LEN (7 + HELLO_NONCE_LEN + 1) /* "HOLM/1 ", the nonce, the newline */
#define HELLO_LINE_SIZE (HELLO_LINE_LEN + 1)

/* What an HTTP/2 client sends first (RFC 9113, 3.4). */
#define HELLO_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define HELLO_PREFACE_LEN 24

/* Finds hello lines among other bytes. */
struct hello_scan {
    size_t matched; /* bytes of a line seen so far */
    char nonce[HELLO_NONCE_SIZE];
};

/* Draws a nonce. */
void hello_nonce_new(char ret[HELLO_NONCE_SIZE]);

/* Writes the line for a nonce, NUL-terminated. */
void hello_line(const char nonce[HELLO_NONCE_SIZE], char ret[HELLO_LINE_SIZE]);

/* Looks at `len` bytes. True: a line ended, its nonce is in s->nonce and *ret_used bytes were
 * looked at; call again with the rest. False: all were looked at and no line ended. */
bool hello_scan_feed(struct hello_scan *s, const void *data, size_t len, size_t *ret_used);

/* True when the bytes are nothing but whole hello lines of one nonce. */
bool hello_is_lines(const void *data, size_t len);

/* The client's side. Set up by hello_client_init. */
struct hello_client {
    char nonce[HELLO_NONCE_SIZE];
    struct hello_scan scan;
    bool answered; /* our line came back: stop repeating it, send the preface */
    bool passed;   /* the first byte of HTTP/2 was met: nothing more to skip */
};

void hello_client_init(struct hello_client *c);

/* Returns how many of the bytes to skip; what follows them is HTTP/2 (only when c->passed). The
 * agent answers every repetition of the hello, so after the first answer more may come; they are
 * skipped too. They cannot be taken for HTTP/2: an agent's first frame is SETTINGS, the first byte
 * of which is 0 and occurs in no hello. */
size_t hello_client_feed(struct hello_client *c, const void *data, size_t len);

/* The agent's side. */
struct hello_server {
    struct hello_scan scan;
    size_t preface_matched;
    bool preface_allowed; /* a hello was answered; or set by the owner: a fresh stream socket */
};

enum hello_event {
    HELLO_MORE,   /* all bytes were looked at */
    HELLO_LINE,   /* a hello ended: answer with hello_line(s->scan.nonce), go on with the rest */
    HELLO_SESSION /* the preface ended: HTTP/2 begins with HELLO_PREFACE, then the rest */
};

enum hello_event hello_server_feed(struct hello_server *s, const void *data, size_t len,
                                   size_t *ret_used);
