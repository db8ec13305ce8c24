/* SPDX-License-Identifier: Apache-2.0 */

/* Programs in a guest whose input and output are streams. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "host/guest.h"
#include "host/guest_priv.h"
#include "wire/frame.h"

#define READ_BYTES (64 * KIB)

struct guest_program {
    struct link_stream *stream;

    /* The reader's. */
    struct frame_decoder decoder;
    uint8_t *in; /* READ_BYTES, of which in_len from in_at on were not looked at */
    size_t in_at, in_len;
    struct buf json; /* of a P or X frame */
    bool exited;
    struct exec_exit exit;

    uint8_t *out; /* the writer's: a frame */
};

DEFINE_AUTO(struct guest_program *, guest_program_free)

void guest_program_free(struct guest_program *p)
{
    if (!p)
        return;
    link_stream_free(p->stream);
    buf_done(&p->json);
    free(p->in);
    free(p->out);
    free(p);
}

void guest_program_shutdown(struct guest_program *p)
{
    link_stream_shutdown(p->stream);
}

/* --- writing --- */

static int write_frame(struct guest_program *p, enum frame_type type, const struct iovec *data,
                       const struct link_wait *w, struct err *e)
{
    frame_header(p->out, type, data->iov_len);
    if (data->iov_len)
        memcpy(p->out + FRAME_HEADER_BYTES, data->iov_base, data->iov_len);
    return link_stream_write(p->stream, p->out, FRAME_HEADER_BYTES + data->iov_len, w, e);
}

static int write_frames(struct guest_program *p, enum frame_type type, const struct iovec *data,
                        const struct link_wait *w, struct err *e)
{
    const size_t max = AGENT_FRAME_MAX_BYTES;
    int r = 0;
    for (size_t at = 0; r == 0 && at < data->iov_len; at += max) {
        struct iovec piece = {
            .iov_base = (char *)data->iov_base + at,
            .iov_len = data->iov_len - at < max ? data->iov_len - at : max,
        };
        r = write_frame(p, type, &piece, w, e);
    }
    return r;
}

int guest_program_write(struct guest_program *p, const void *data, size_t len,
                        const struct link_wait *w, struct err *e)
{
    struct iovec v = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
    return write_frames(p, FRAME_STDIN, &v, w, e);
}

int guest_program_end_input(struct guest_program *p, const struct link_wait *w, struct err *e)
{
    return link_stream_end(p->stream, w, e);
}

static int bounded(int v)
{
    return v < 1 ? 1 : v > FRAME_RESIZE_MAX ? FRAME_RESIZE_MAX : v;
}

int guest_program_resize(struct guest_program *p, int rows, int cols, const struct link_wait *w,
                         struct err *e)
{
    uint8_t frame[FRAME_HEADER_BYTES + FRAME_RESIZE_BYTES];
    frame_resize(frame, bounded(rows), bounded(cols));
    return link_stream_write(p->stream, frame, sizeof(frame), w, e);
}

/* --- starting --- */

static int send_spec(struct guest_program *p, const struct exec_spec *spec,
                     const struct link_wait *w, struct err *e)
{
    auto_buf struct buf json = {.max_bytes = AGENT_SPEC_MAX_BYTES};
    int r = exec_spec_encode(spec, &json, e);
    if (r < 0)
        return r;
    struct iovec all = {.iov_base = json.data, .iov_len = json.len}, end = {0};
    r = write_frames(p, FRAME_SPEC, &all, w, e);
    r = r < 0 ? r : write_frame(p, FRAME_SPEC, &end, w, e);
    /* An agent that has answered already has said why. */
    return r == -EPIPE ? 0 : r;
}

int guest_program_open(struct link *l, const struct exec_spec *spec, const struct link_wait *w,
                       struct guest_program **ret, struct err *e)
{
    static const struct link_head head = {"POST", "/v1/exec", .has_body = true};
    CLEANUP(guest_program_freep) struct guest_program *p = calloc(1, sizeof(*p));
    if (!p || !(p->in = malloc(READ_BYTES)) ||
        !(p->out = malloc(FRAME_HEADER_BYTES + AGENT_FRAME_MAX_BYTES)))
        return err_errno(e, -ENOMEM, "request to the agent");
    p->json.max_bytes = AGENT_FRAME_MAX_BYTES;
    int r = link_stream_open(l, &head, w, &p->stream, e);
    r = r < 0 ? r : send_spec(p, spec, w, e);
    r = r < 0 ? r : guest_check_stream(p->stream, 200, w, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(p);
    return 0;
}

/* --- reading --- */

static int take_json(struct guest_program *p, const struct frame_piece *piece, struct err *e)
{
    if (buf_append(&p->json, piece->data, piece->len) < 0)
        return err_set(e, ERR_UNAVAILABLE, "frame too large");
    if (!piece->end)
        return 0;
    int64_t pid;
    p->exited = piece->type == FRAME_EXIT;
    int r = p->exited ? exec_exit_decode(buf_str(&p->json), p->json.len, &p->exit, e)
                      : exec_started_decode(buf_str(&p->json), p->json.len, &pid, e);
    buf_clear(&p->json);
    return r;
}

/* Decodes no more than fits into `max` bytes of output. Returns how many bytes of output were
 * found, 0 when more must be read. */
static ssize_t decode(struct guest_program *p, void *buf, size_t max, int *ret_stream,
                      struct err *e)
{
    while (p->in_len) {
        size_t most = FRAME_HEADER_BYTES - p->decoder.head_len + max;
        size_t len = p->in_len < most ? p->in_len : most;
        struct frame_input in = {.data = p->in + p->in_at, .len = len};
        struct frame_piece piece;
        int r = frame_decode(&p->decoder, FRAME_FROM_AGENT, &in, &piece, e);
        p->in_at += len - in.len;
        p->in_len -= len - in.len;
        if (r < 0)
            return r;
        if (r == 0)
            continue;
        if (p->exited)
            return err_set(e, ERR_UNAVAILABLE, "a frame after the last one");
        bool output = piece.type == FRAME_STDOUT || piece.type == FRAME_STDERR;
        r = output ? 0 : take_json(p, &piece, e);
        if (r < 0)
            return r;
        if (!output || !piece.len)
            continue;
        assert(piece.len <= max);
        memcpy(buf, piece.data, piece.len);
        *ret_stream = piece.type == FRAME_STDOUT ? 1 : 2;
        return (ssize_t)piece.len;
    }
    return 0;
}

ssize_t guest_program_read(struct guest_program *p, void *buf, size_t max, int *ret_stream,
                           const struct link_wait *w, struct err *e)
{
    for (;;) {
        ssize_t n = decode(p, buf, max, ret_stream, e);
        if (n != 0)
            return n < 0 ? guest_nonsense(e) : n;
        n = link_stream_read(p->stream, p->in, READ_BYTES, w, e);
        if (n < 0)
            return n;
        p->in_at = 0;
        p->in_len = (size_t)n;
        if (n > 0)
            continue;
        if (p->exited && frame_at_boundary(&p->decoder))
            return 0;
        return err_set(e, ERR_UNAVAILABLE, "the agent's answer ended before the program did");
    }
}

void guest_program_exit(const struct guest_program *p, struct exec_exit *ret)
{
    *ret = p->exit;
}
