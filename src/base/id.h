/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Ids of VMs, snapshots, images: 20 characters of [0-9a-z], each drawn evenly from the kernel's
 * random generator: 20 * log2(36) = 103 bits. The API dialects render them in their own ways. Any
 * thread. */

#include <stdbool.h>
#include <stddef.h>

#define ID_LEN 20
#define ID_SIZE (ID_LEN + 1)

void id_new(char ret[ID_SIZE]);
bool id_valid(const char *s);

/* Fills `ret` from getrandom(2); it cannot fail once the kernel's generator is up, which the first
 * call waits for. */
void id_random(void *ret, size_t len);
