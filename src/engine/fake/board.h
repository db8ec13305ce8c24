/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The fake machine without its wires: the guest, whether it stands still, and what the engine asks
 * of it (control.h). Thread: the monitor's only one. */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "engine/fake/guest.h"

struct board {
    struct guest guest;
    bool is_paused;
    int64_t paused_us; /* since when */
    bool quit;         /* the monitor is to end */
};

/* What the guest begins as. */
struct board_start {
    const char *vm_dir;
    const char *template_dir; /* NULL: boot */
    bool disk_is_kept;        /* boot: the disk that is in vm_dir */
    int64_t image_bytes;      /* boot from an image: its size */
    int64_t device_bytes;     /* boot: size of the disk; 0: as it is */
};

int board_begin(struct board *b, const struct board_start *s, struct err *e);
void board_done(struct board *b);

/* Carries out one request line. On success what follows "ok" is in *ret, behind a space. */
int board_ask(struct board *b, const char *request, struct buf *ret, struct err *e);
