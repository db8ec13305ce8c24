/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Asking before something is destroyed. Thread: the main one. */

#include "cli/cli.h"

/* 0 when it may be done: with --force, without a terminal (a script means what it says), or after
 * "y" to the question "WHAT?". -ECANCELED when a signal came; ERR_CONFLICT for any other answer. */
int confirm(struct cli *cli, const struct options *o, const char *what, struct err *e);
