/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Documents of OpenAPI 3.0. */

#include <jansson.h>

/* Says what a document of openapi.c says in the words of 3.0: null is no type but `nullable`, bytes
 * are of the format "binary", a licence has a URL and no SPDX name. For the schema of each line of
 * a stream (contentSchema) it has none: no dialect with such a row may ask for this. */
void openapi_30(json_t *document);
