/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* images/build, which makes images by recipe, as the daemon finds and asks it. Any thread. */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "host/config.h"

/* The directory of recipes, with `build` in it: by configuration, installed, or of the source tree
 * that holmd was built in. -ENOENT: none. */
int builder_find(const struct config *config, char *ret, size_t size);

/* The program, when that has a recipe for `name`; else ERR_NOT_FOUND. */
int builder_check(const char *dir, const char *name, char *ret_program, size_t size, struct err *e);

/* The same: whether there is a recipe. False when the builder cannot be asked. */
bool builder_has(const struct config *config, const char *name);
