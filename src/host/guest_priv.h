/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Shared by the files that implement guest.h. Nobody else includes it. */

#include "host/guest.h"

/* 0 for the status that means success; otherwise what the agent said. */
int guest_check(const struct link_request *rq, int expected, struct err *e);

/* For what a guest sent and decoding refused: the guest is to blame, not the client's request. */
int guest_nonsense(struct err *e);

struct guest_simple {
    const char *method;
    const char *path;
    const struct buf *body; /* NULL: none */
    const struct link_wait *wait;
    int expected;
};

/* The answer's body goes to `ret` (may be NULL), bounded by its max_bytes. */
int guest_simple(struct link *l, const struct guest_simple *s, struct buf *ret, struct err *e);

/* "<head><path, percent-encoded>" */
int guest_url(struct buf *b, const char *head, const char *path, struct err *e);

/* The same for a tree, without whose it is. */
int guest_tree_url(struct buf *b, const struct guest_tree *t, struct err *e);

/* guest_check for a stream; what an answer of another status says is read from it. */
int guest_check_stream(struct link_stream *s, int expected, const struct link_wait *w,
                       struct err *e);

/* Opens a stream and waits for status 200. */
int guest_open_stream(struct link *l, const struct link_head *head, const struct link_wait *w,
                      struct link_stream **ret, struct err *e);

/* A PUT ready to be sent; the owner calls buf_done on `url`. */
struct guest_put {
    struct buf url;
    struct iovec body;
};

int guest_put_init(struct guest_put *p, const struct guest_file *f, struct link_request *ret,
                   struct err *e);
