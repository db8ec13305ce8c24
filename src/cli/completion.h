/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Shell completions, made from the rows of the command table: commands, options, and what each
 * option and word can be. Languages are asked of the daemon when the key is pressed. */

#include <stdio.h>

void completion_bash(FILE *f);
void completion_zsh(FILE *f);
