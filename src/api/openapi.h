/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The OpenAPI 3.1 document of a dialect, made from its rows and their field tables. */

#include <jansson.h>

#include "api/route.h"

/* NULL: no memory. The caller owns it. */
json_t *openapi_make(const struct dialect *dialect);
