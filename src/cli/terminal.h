/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Terminals of VMs, connected to ours: a token is asked for, and a WebSocket carries the bytes.
 * Ours is raw meanwhile, and as before afterwards, whatever ends it. Thread: the main one. */

#include <jansson.h>

#include "cli/cli.h"
#include "cli/ref.h"

/* Runs a command, or a login shell, in a terminal of the VM. `exec` has members of exec's request:
 * command (may be missing), user, cwd, env. call->code becomes the command's exit code. */
int terminal_shell(struct cli_call *call, const struct ref_found *vm, const json_t *exec,
                   struct err *e);

/* The serial console; Ctrl-] quits. */
int terminal_console(struct cli_call *call, const struct ref_found *vm, struct err *e);

/* The serial console's output only, from now on: `before` is called once connected, so that nothing
 * falls between what it prints and what comes. */
int terminal_follow(struct cli_call *call, const struct ref_found *vm,
                    int (*before)(struct cli_call *call, const struct ref_found *vm, struct err *e),
                    struct err *e);
