/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A stream of a VM together with the watch over its client. */

#include "api/native/watch.h"
#include "api/request.h"

struct transfer {
    struct vm_stream *stream;
    struct watch *watch;
    char *path;     /* owned; what an upload's answer tells */
    uint64_t bytes; /* that went through */
};
void transfer_free(struct transfer *t); /* NULL is fine */
DEFINE_AUTO(struct transfer *, transfer_free)

/* An empty one; the caller opens its stream, then calls transfer_watch. */
int transfer_new(const char *path, struct transfer **ret, struct err *e);
int transfer_watch(struct transfer *t, const struct request *rq, int64_t deadline_ms,
                   struct err *e);

/* Makes the answer's body what is read from it; takes `t`. `length` < 0: not known. */
void transfer_answer(struct transfer *t, int64_t length, struct answer *ret);
