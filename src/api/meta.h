/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What is about the server itself and no dialect's: the index, metrics, OpenAPI documents. */

#include "api/route.h"

extern const struct route meta_routes[]; /* ends with a row without path */
/* A row for each dialect's OpenAPI document; likewise. Filled by meta_add_document, which routes.c
 * calls for each dialect before anybody looks. */
extern struct route meta_document_routes[];
void meta_add_document(const struct dialect *d);
extern const struct dialect meta_dialect;
