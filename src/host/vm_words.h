/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The last words of a guest that did not come up: what its kernel wrote to the serial console. */

#include <stddef.h>

struct host;
struct vm;

#define VM_WORDS_SIZE 200

/* From now on what it writes is kept; the monitor has just been started. */
void vm_words_begin(struct host *h, struct vm *vm);
/* It did not come up: ends its monitor, and puts its last lines together; "" when there are
 * none. */
void vm_words_take(struct host *h, struct vm *vm, char ret[VM_WORDS_SIZE]);
/* It came up, or they were taken. */
void vm_words_end(struct host *h, struct vm *vm);

/* The lines of a console that say most, one behind the other, as plain text; pure. */
void vm_words_pick(const char *text, size_t len, char ret[VM_WORDS_SIZE]);
