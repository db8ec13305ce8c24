/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The disk of a VM or a template: a stack of files in its directory, named by their depth.
 *
 *     layer-0.raw      the image's root file system
 *     layer-1.qcow2    what the first VM on it wrote, backed by layer-0.raw
 *     layer-2.qcow2    what a clone wrote after the capture, backed by layer-1.qcow2 ...
 *
 * All but the last of a VM, and all of a template, are frozen. Frozen files are hard links shared
 * by every directory that stands on them. So each directory is complete in itself: an image can be
 * rebuilt, a template or a VM removed in any order, and nobody loses a layer. And since a layer has
 * the same name everywhere, the relative backing names inside are right everywhere. (Where a link
 * cannot be made - another file system, too many links - it is a symbolic link; then the order of
 * removal does matter.) Any thread. */

#include <limits.h>
#include <stdint.h>

#include "base/err.h"

/* The file name of layer `depth` in `dir`. */
int layers_path(const char *dir, int depth, char ret[PATH_MAX], struct err *e);

/* Links any file, see above. */
int layers_link_file(const char *from, const char *to, struct err *e);

/* Links layers 0 to top. */
int layers_link(const char *from_dir, const char *to_dir, int top, struct err *e);

/* Makes the new, empty layer `depth` >= 1; a leftover of that name is replaced. ERR_CONFLICT at
 * ENGINE_LAYERS_MAX. */
int layers_make(const char *dir, int depth, struct err *e);

/* The highest layer there, -1 when there is none. */
int layers_top(const char *dir);
