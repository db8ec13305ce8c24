/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the commands about VMs have in common. Thread: the main one. */

#include "cli/cli.h"
#include "cli/ref.h"

#define VM_PATH_SIZE 160

/* The VM that the i-th word names. */
int vm_call_find(struct cli_call *call, size_t i, struct ref_found *ret, struct err *e);

/* "/v1/vms/ID" and `rest` ("/pause"). */
void vm_call_path(const struct ref_found *vm, const char *rest, char ret[VM_PATH_SIZE]);

/* GET /v1/vms/ID. */
int vm_call_get(struct cli_call *call, const struct ref_found *vm, json_t **ret, struct err *e);

/* PATCH /v1/vms/ID with `body`, then with --json what the daemon answers, else `done` about it on a
 * terminal. */
int vm_call_patch(struct cli_call *call, const struct ref_found *vm, const json_t *body,
                  const char *done, struct err *e);

/* Waits while the VM of *vm is queued or being started, asking for it anew; *vm is replaced. An
 * error when it cannot be started, saying why. */
int vm_call_wait(struct cli_call *call, json_t **vm, struct err *e);

/* A line for somebody who watches: "holm: ..." is for what failed, this for what was done. Nothing
 * without a terminal, where only what a script can use is printed. */
void vm_call_tell(struct cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Something was made: a line about it on a terminal, its id elsewhere. */
void vm_call_made(struct cli *cli, const char *noun, const json_t *object);
