/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Small helps for jansson. Any thread. */

#include <jansson.h>

#include "base/cleanup.h"

static inline void json_drop(json_t **j)
{
    json_decref(*j);
}

#define auto_json CLEANUP(json_drop)

/* The string of an object's key; "" when it is missing or not a string. Borrowed from the object.
 */
static inline const char *json_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}
