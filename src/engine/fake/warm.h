/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Programs of the fake guest that wait: remembered command lines. The hand-over starts the program
 * then, since nothing of the fake's could have been done before. Thread: the monitor's only one. */

#include "base/buf.h"
#include "base/err.h"
#include "wire/exec_spec.h"

struct call;
struct guest;
struct unpack;

void warm_start(struct call *c);    /* POST /v1/warm */
void warm_rehearse(struct call *c); /* POST /v1/warm/rehearse */

/* Puts the waiting program's command line before the arguments of a spec that names one with
 * `warm`; it waits no more. Ends the others where the spec says `alone`. */
int warm_take(struct guest *g, struct exec_spec *spec, struct err *e);

void warms_clear(struct guest *g);
void warms_save(const struct guest *g, struct buf *out);
int warms_load(struct guest *g, struct unpack *u);
