/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Exec frames: one byte type, three bytes big-endian length (at most AGENT_FRAME_MAX_BYTES), the
 * payload. Decoding is incremental and copies nothing: it hands out pieces of payload that point
 * into the bytes it was given. Thread: the owner's. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum frame_type {
    FRAME_SPEC = 'S',    /* client: part of the spec's JSON; an empty one ends it */
    FRAME_STDIN = 'I',   /* client: standard input */
    FRAME_SIGNAL = 'K',  /* client: two bytes big-endian signal number */
    FRAME_RESIZE = 'W',  /* client: rows and cols of the terminal, two bytes big-endian each */
    FRAME_STARTED = 'P', /* agent: {"pid": n} */
    FRAME_STDOUT = 'O',  /* agent: standard output */
    FRAME_STDERR = 'E',  /* agent: standard error */
    FRAME_OFFSET = 'N',  /* agent, jobs: eight bytes big-endian, where the next O or E begins */
    FRAME_EXIT = 'X',    /* agent: struct exec_exit as JSON, the last frame */
};

/* The types each side may send, for frame_decode. */
#define FRAME_FROM_CLIENT "SIKW"
#define FRAME_FROM_AGENT "POEX"
#define FRAME_FROM_JOB "NOEX" /* of an agent that replays a job's output */

#define FRAME_HEADER_BYTES 4
#define FRAME_SIGNAL_BYTES 2
#define FRAME_RESIZE_BYTES 4
#define FRAME_RESIZE_MAX 65535 /* rows and cols are 1 to this */
#define FRAME_OFFSET_BYTES 8

/* Writes the header of a frame with `len` (<= AGENT_FRAME_MAX_BYTES) bytes of payload. */
void frame_header(uint8_t ret[FRAME_HEADER_BYTES], enum frame_type type, size_t len);

/* Whole frames of a fixed size. */
void frame_signal(uint8_t ret[FRAME_HEADER_BYTES + FRAME_SIGNAL_BYTES], int signal);
void frame_resize(uint8_t ret[FRAME_HEADER_BYTES + FRAME_RESIZE_BYTES], int rows, int cols);
void frame_offset(uint8_t ret[FRAME_HEADER_BYTES + FRAME_OFFSET_BYTES], int64_t offset);

/* The payload of such a frame: a number of `len` (<= 8) bytes, big-endian. */
uint64_t frame_number(const uint8_t *data, size_t len);

/* Zero-initialised: before the first frame. */
struct frame_decoder {
    uint8_t head[FRAME_HEADER_BYTES];
    size_t head_len;
    size_t left; /* bytes of payload still to come, once the header is complete */
};

/* A piece of one frame's payload. An empty frame yields one piece of length 0. */
struct frame_piece {
    enum frame_type type;
    const uint8_t *data; /* borrowed from the bytes given to frame_decode */
    size_t len;
    size_t frame_len; /* of the whole frame's payload */
    bool end;         /* the frame ends with this piece */
};

struct frame_input {
    const uint8_t *data;
    size_t len;
};

/* Takes the next piece from the front of `in` and moves `in` past it. Returns 1 with a piece, 0
 * when `in` is used up, -EINVAL (ERR_INVALID) for a type not in `allowed` or a length beyond the
 * bound: the decoder is of no further use then. */
int frame_decode(struct frame_decoder *d, const char *allowed, struct frame_input *in,
                 struct frame_piece *ret, struct err *e);

/* True between frames: nothing of a header or payload is outstanding. */
bool frame_at_boundary(const struct frame_decoder *d);
