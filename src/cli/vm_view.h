/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* VMs as people read them. Fields that the daemon leaves out are left out. Thread: the main one. */

#include <jansson.h>

#include "cli/cli.h"
#include "cli/ref.h"

/* Those of a list of the daemon's, oldest first: a table, or with --json as the daemon says it. */
int vm_view_list(struct cli_call *call, const char *path, struct err *e);

/* Everything about one. */
void vm_view_one(struct cli *cli, const json_t *vm);

/* The colour of a status word. */
enum term_style vm_view_style(const char *status);

/* An id as it is shown in a table: the beginning on a terminal, all of it elsewhere. */
void vm_view_id(const struct term *t, const char *id, char ret[REF_ID_SIZE]);

/* How long ago an RFC 3339 time was; "" when it is none. */
void vm_view_age(const char *time, char *ret, size_t size);
