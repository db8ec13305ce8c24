/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The parameters of a URL's query, by a field table like a body's. Any thread. */

#include "api/decode.h"

/* Decodes "a=1&b=x+y&map.key=v", as it came, into `in`, which is empty. Text, integers, numbers,
 * booleans (0, 1, true, false), choices, and maps as NAME.KEY=VALUE. Every mistake is an error that
 * names the parameter: unknown, given twice, of a wrong type, not percent-encoded UTF-8. */
int query_decode(const char *query, const struct input_shape *shape, struct input *in,
                 struct err *e);
