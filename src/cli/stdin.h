/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Standard input, where it is read whole. Thread: the main one. */

#include "cli/cli.h"

/* Reads it to its end, with the progress line alive and Ctrl-C heard (-ECANCELED). ERR_TOO_LARGE
 * when it is longer than the buffer's bound. */
int stdin_read(struct cli *cli, struct buf *ret, struct err *e);
