/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The disk of a running monitor, through QMP: which layers it stands on, new ones, fewer of them.
 *
 * The monitor is asked each time: a directory may hold a layer that a killed daemon made but never
 * put to use, and a monitor may be flattening for a daemon that is gone. disk_open finds such
 * leftovers and clears them away. Thread: the one of the conversation. */

#include "engine/engine.h"
#include "engine/qemu/layers.h"
#include "engine/qemu/qmp.h"

struct disk {
    const char *vm_dir;  /* borrowed */
    struct layers chain; /* what it stands on; the last one is written */
    uint64_t bytes;      /* size the guest sees */
    bool no_flush;       /* started as ephemeral */
    bool pushed;         /* a new last layer was made, that the monitor does not use yet */
};

/* Asks the monitor. A flattening that still goes on is ended: the disk stays as it was. */
int disk_open(struct qmp *q, const char *vm_dir, struct disk *ret, struct err *e);

/* Makes the layer that the disk will go on in and lets the monitor open it. */
int disk_push(struct qmp *q, struct disk *d, struct err *e);

/* The arguments of blockdev-snapshot: the disk goes on in the new layer. */
json_t *disk_switch_arguments(const struct disk *d);

/* After a switch: takes from the monitor the descriptor that can write the frozen layer. */
int disk_freeze(struct qmp *q, const struct disk *d, struct err *e);

/* Instead of a switch: removes the new layer again. */
void disk_pop(struct qmp *q, struct disk *d);

/* Operations of the engine; see engine.h. */
int disk_flatten(struct engine *en, const struct monitor *m, struct err *e);
int disk_resize(struct engine *en, const struct monitor *m, uint64_t bytes, struct err *e);

/* Bytes that the guest has read and written. */
int disk_io_bytes(struct qmp *q, uint64_t *ret, struct err *e);

/* Merges layers until the disk has at most ENGINE_LAYERS_FLATTEN / 2 of them. The conversation is
 * closed and opened meanwhile, since others may want to speak with the monitor. */
int disk_merge(const struct monitor *m, struct qmp *q, struct disk *d, struct err *e);
