/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Small helps for jansson. Any thread. */

#include <jansson.h>

#include "base/cleanup.h"
#include "base/err.h"

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

/* A text of what is asked of the daemon; NULL is left out. ERR_INVALID when it is not UTF-8. */
static inline int json_set_text(json_t *body, const char *key, const char *text, struct err *e)
{
    if (!text || json_object_set_new(body, key, json_string(text)) == 0)
        return 0;
    return err_set(e, ERR_INVALID, "the %s is not UTF-8 text", key);
}
