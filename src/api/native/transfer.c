/* SPDX-License-Identifier: Apache-2.0 */
#include "api/native/transfer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void transfer_free(struct transfer *t)
{
    if (!t)
        return;
    watch_free(t->watch);
    vm_stream_free(t->stream);
    free(t->path);
    free(t);
}

int transfer_new(const char *path, struct transfer **ret, struct err *e)
{
    CLEANUP(transfer_freep) struct transfer *t = calloc(1, sizeof(*t));
    if (!t || !(t->path = strdup(path)))
        return err_errno(e, -ENOMEM, "transfer a file");
    *ret = TAKE_PTR(t);
    return 0;
}

int transfer_watch(struct transfer *t, const struct request *rq, int64_t deadline_ms, struct err *e)
{
    return watch_start(t->stream, rq->fd, deadline_ms, &t->watch, e);
}

static ssize_t read_some(void *arg, char *buf, size_t max)
{
    struct transfer *t = arg;
    struct err e = ERR_INIT;
    return answer_stream_read(vm_stream_read(t->stream, buf, max, &e), "native", &e);
}

static void drop(void *arg)
{
    transfer_free(arg);
}

void transfer_answer(struct transfer *t, int64_t length, struct answer *ret)
{
    ret->stream.read = read_some;
    ret->stream.free = drop;
    ret->stream.arg = t;
    ret->stream.has_length = length >= 0;
    ret->stream.length = length >= 0 ? (uint64_t)length : 0;
}
