/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A bare connection to the daemon, for what is no exchange of HTTP (websocket.h). libcurl makes it,
 * so it goes wherever requests go: TCP, TLS, a Unix socket, through a proxy. Thread: the main one.
 */

#include <sys/types.h>

#include "cli/api_client.h"

/* Connects. The client can send no requests any more. The errors of api_client_send. */
int api_socket_open(struct api_client *c, struct err *e);

/* To poll. Bytes may also wait inside: read until -EAGAIN before polling. */
int api_socket_fd(const struct api_client *c);

/* Never block: -EAGAIN when there is nothing or no room; read: 0 at the end; else -EIO. */
ssize_t api_socket_read(struct api_client *c, void *buf, size_t max);
ssize_t api_socket_write(struct api_client *c, const void *data, size_t len);

/* Appends the head of a GET request for `path`: request line, Host, the key, then `more` (header
 * lines, each with its line end) and the empty line. */
int api_socket_head(const struct api_client *c, const char *path, const char *more,
                    struct buf *ret);
