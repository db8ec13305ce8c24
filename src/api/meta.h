/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What is about the server itself and no dialect's: the index, metrics, OpenAPI documents. */

#include "api/route.h"

extern const struct route meta_routes[]; /* ends with a row without path */
extern const struct dialect meta_dialect;
