/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The programs that are there by name (README.md lists them). Thread: the monitor's only one. */

#include "engine/fake/script.h"

#define PROGRAM_NUMBER_MAX INT64_C(1000000000000)
#define PROGRAM_MEMORY_MAX_MIB (1 << 20)

/* Makes `s` the program that argv[0] names: 1, 0 when there is none, -ENOMEM. */
int programs_choose(struct script *s);
/* The same for what is only meant when no argument names a file. */
int programs_choose_late(struct script *s);
