/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Help pages, made from the rows of the command table. Thread: the main one. */

#include "cli/cli.h"

/* Of `holm` itself. */
void help_all(const struct term *t);

void help_command(const struct term *t, const struct cli_command *c);
