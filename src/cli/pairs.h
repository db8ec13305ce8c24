/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* NAME=VALUE of the command line as a JSON object of strings. Thread: the main one. */

#include <stdbool.h>

#include <jansson.h>

#include "cli/options.h"

/* One pair; `what` ("--env") begins the errors. With `from_env` a NAME alone takes the variable of
 * this process. A later one of a name wins. ERR_INVALID. */
int pairs_add(json_t *object, const char *what, const char *pair, bool from_env, struct err *e);

/* All that were given with the option of this name. */
int pairs_gather(const struct options *o, const char *option, bool from_env, json_t *object,
                 struct err *e);
