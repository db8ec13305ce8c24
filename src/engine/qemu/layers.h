/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The disk of a VM or a template: a chain of files in its directory.
 *
 *     layer-0.raw      the image's root file system
 *     layer-1.qcow2    what the first VM on it wrote, backed by layer-0.raw
 *     layer-2.qcow2    what a clone wrote after the capture, backed by layer-1.qcow2 ...
 *
 * Numbers grow along the chain, but flattening leaves gaps: layer-20 may be backed by layer-3. What
 * a layer is backed by stands in its own header and nowhere else, so that there is one truth, which
 * changes at one moment. A monitor can write the header of its own last layer; therefore only plain
 * names of lower numbers are followed, and the worst it can do is to lose layers of its own.
 *
 * All but the last of a VM, and all of a template, are frozen. Frozen files are hard links shared
 * by every directory that stands on them. So each directory is complete in itself: an image can be
 * rebuilt, a template or a VM removed in any order, and nobody loses a layer. And since a layer has
 * the same name everywhere, the relative backing names inside are right everywhere. (Where a link
 * cannot be made - another file system, too many links - it is a symbolic link; then the order of
 * removal does matter.) Any thread. */

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"

#define LAYERS_NAME_SIZE 32

struct layers {
    int n;                             /* at least 1 */
    int number[ENGINE_LAYERS_MAX + 1]; /* ascending; number[0] is 0 */
};

static inline int layers_top(const struct layers *l)
{
    return l->number[l->n - 1];
}

bool layers_have(const struct layers *l, int number);

/* The file name of a layer, and the other way round (false: not the name of one). */
void layers_name(int number, char ret[LAYERS_NAME_SIZE]);
bool layers_parse_name(const char *name, int *ret);

/* The path of layer `number` in `dir`. */
int layers_path(const char *dir, int number, char ret[PATH_MAX], struct err *e);

/* Follows the headers from layer `top` down. ERR_CONFLICT when they do not lead to layer 0. */
int layers_read(const char *dir, int top, struct layers *ret, struct err *e);

/* The chain under the highest layer there that is whole: for a disk that no monitor has open.
 * ERR_NOT_FOUND when there is none. */
int layers_find(const char *dir, struct layers *ret, struct err *e);

/* Removes every layer in `dir` that is not of the chain. */
void layers_tidy(const char *dir, const struct layers *chain);

/* Links any file, see above. */
int layers_link_file(const char *from, const char *to, struct err *e);

/* Links all layers of a chain. */
int layers_link(const char *from_dir, const char *to_dir, const struct layers *chain,
                struct err *e);

/* Puts the new, empty layer with the next number on the chain; a leftover of that name is replaced.
 * `disk_bytes` 0: as large as the disk is. ERR_CONFLICT at ENGINE_LAYERS_MAX, ERR_INVALID when the
 * disk would shrink. */
int layers_push(const char *dir, struct layers *chain, uint64_t disk_bytes, struct err *e);

/* Size of the disk whose last layer this is. */
int layers_disk_bytes(const char *dir, int number, uint64_t *ret, struct err *e);

/* The most that the file of a layer of such a disk can take: all of it and QEMU's tables. Small
 * disks get room to grow, since raising a bound takes a capability that a container may lack. */
static inline uint64_t layers_file_max_bytes(uint64_t disk_bytes)
{
    uint64_t bytes = disk_bytes < ENGINE_DISK_ROOM_BYTES ? ENGINE_DISK_ROOM_BYTES : disk_bytes;
    return bytes + bytes / 1024 + 64 * MIB;
}

/* Blocks that the layers which no other directory shares take. */
uint64_t layers_own_bytes(const char *dir);
