/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The OpenAPI document of a dialect, or of all, made from its rows and their field tables: 3.1, or
 * 3.0 where the dialect's own reference promises that. */

#include <jansson.h>

#include "api/route.h"

/* `dialect` NULL: all of them in one document. Paths are as clients of a listener that mounts
 * `mount` (NULL: none) reach them. NULL: no memory. The caller owns it. */
json_t *openapi_make(const struct dialect *dialect, const struct dialect *mount);
