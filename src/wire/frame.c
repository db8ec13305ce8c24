/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/frame.h"

#include <assert.h>
#include <string.h>

#include "base/limits.h"

void frame_header(uint8_t ret[FRAME_HEADER_BYTES], enum frame_type type, size_t len)
{
    assert(len <= AGENT_FRAME_MAX_BYTES);
    ret[0] = (uint8_t)type;
    ret[1] = (uint8_t)(len >> 16);
    ret[2] = (uint8_t)(len >> 8);
    ret[3] = (uint8_t)len;
}

static void put_number(uint8_t *ret, uint64_t v, size_t len)
{
    for (size_t i = len; i-- > 0; v >>= 8)
        ret[i] = (uint8_t)v;
}

uint64_t frame_number(const uint8_t *data, size_t len)
{
    uint64_t v = 0;
    for (size_t i = 0; i < len; i++)
        v = v << 8 | data[i];
    return v;
}

void frame_signal(uint8_t ret[FRAME_HEADER_BYTES + FRAME_SIGNAL_BYTES], int signal)
{
    frame_header(ret, FRAME_SIGNAL, FRAME_SIGNAL_BYTES);
    put_number(ret + FRAME_HEADER_BYTES, (uint64_t)signal, FRAME_SIGNAL_BYTES);
}

void frame_resize(uint8_t ret[FRAME_HEADER_BYTES + FRAME_RESIZE_BYTES], int rows, int cols)
{
    frame_header(ret, FRAME_RESIZE, FRAME_RESIZE_BYTES);
    put_number(ret + FRAME_HEADER_BYTES, (uint64_t)rows, 2);
    put_number(ret + FRAME_HEADER_BYTES + 2, (uint64_t)cols, 2);
}

void frame_offset(uint8_t ret[FRAME_HEADER_BYTES + FRAME_OFFSET_BYTES], int64_t offset)
{
    frame_header(ret, FRAME_OFFSET, FRAME_OFFSET_BYTES);
    put_number(ret + FRAME_HEADER_BYTES, (uint64_t)offset, FRAME_OFFSET_BYTES);
}

static size_t head_length(const struct frame_decoder *d)
{
    return (size_t)d->head[1] << 16 | (size_t)d->head[2] << 8 | d->head[3];
}

static void advance(struct frame_input *in, size_t n)
{
    in->data += n;
    in->len -= n;
}

/* Checked as soon as each byte is there, so that garbage is refused at its first byte. */
static int check_head(const struct frame_decoder *d, const char *allowed, struct err *e)
{
    /* strchr would find the terminator for type 0. */
    if (d->head[0] == '\0' || !strchr(allowed, d->head[0]))
        return err_set(e, ERR_INVALID, "unexpected exec frame of type 0x%02x", d->head[0]);
    if (d->head_len == FRAME_HEADER_BYTES && head_length(d) > AGENT_FRAME_MAX_BYTES)
        return err_set(e, ERR_INVALID, "an exec frame of %zu bytes, more than %llu", head_length(d),
                       AGENT_FRAME_MAX_BYTES);
    return 0;
}

int frame_decode(struct frame_decoder *d, const char *allowed, struct frame_input *in,
                 struct frame_piece *ret, struct err *e)
{
    while (d->head_len < FRAME_HEADER_BYTES) {
        if (in->len == 0)
            return 0;
        d->head[d->head_len++] = *in->data;
        advance(in, 1);
        int r = check_head(d, allowed, e);
        if (r < 0)
            return r;
        d->left = d->head_len == FRAME_HEADER_BYTES ? head_length(d) : 0;
    }
    if (in->len == 0 && d->left > 0)
        return 0;
    size_t n = in->len < d->left ? in->len : d->left;
    *ret = (struct frame_piece){
        .type = (enum frame_type)d->head[0],
        .data = in->data,
        .len = n,
        .frame_len = head_length(d),
        .end = n == d->left,
    };
    advance(in, n);
    d->left -= n;
    if (ret->end)
        d->head_len = 0;
    return 1;
}

bool frame_at_boundary(const struct frame_decoder *d)
{
    return d->head_len == 0;
}
