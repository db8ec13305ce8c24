/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The rows of the command table, each in its file cmd_NAME.c. */

#include "cli/cli.h"

extern const struct cli_command cmd_run;
extern const struct cli_command cmd_languages;
extern const struct cli_command cmd_doctor;
extern const struct cli_command cmd_status;
extern const struct cli_command cmd_version;
extern const struct cli_command cmd_completion;
extern const struct cli_command cmd_help;
