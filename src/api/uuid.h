/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Ids as UUIDs, for the dialects whose clients expect these: a rendering that can be reversed, so
 * nobody keeps a table. An id is a number of 20 digits in base 36, less than 104 bits; they become
 * the first bits of a UUID of version 8 ("custom"), the last 18 bits are zero. Any thread. */

#include <stdbool.h>

#include "base/id.h"

#define UUID_LEN 36
#define UUID_SIZE (UUID_LEN + 1)

/* Writes it in lower case; "" for what is no id. */
void uuid_from_id(const char *id, char ret[UUID_SIZE]);

/* Either case; false: it is no UUID, or not the rendering of an id. */
bool uuid_to_id(const char *uuid, char ret[ID_SIZE]);
