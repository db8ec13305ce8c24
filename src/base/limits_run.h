/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The bounds of running code; a part of limits.h, by which it is included. */

/* Running code (runner dialect) */
#define RUN_CODE_MAX_BYTES (1 * MIB)
#define RUN_STDIN_MAX_BYTES (4 * MIB)
#define RUN_OUTPUT_MAX_BYTES \
    (4 * MIB)                /* each of stdout and stderr; what is beyond is cut and reported */
#define RUN_BATCH_MAX 100    /* inputs of one batch */
#define RUN_BATCH_MAX_S 3600 /* the timeouts of them all together */
#define RUN_BATCH_OUTPUT_MAX_BYTES (32 * MIB) /* kept of all their streams */
#define RUN_LIMIT_MAX_MIB (1 << 20)           /* of memory and files in `limits` */
#define RUN_LIMIT_MEMORY_MIN_MIB 4            /* less has no room for any program */
#define RUN_LIMIT_PROCESSES_MAX (1 << 20)
#define RUN_TIMEOUT_DEFAULT_S 30
#define RUN_TIMEOUT_MAX_S 300
#define RUN_ARGS_MAX 256
#define RUN_ARGS_MAX_BYTES (128 * KIB) /* all together; Linux bounds one string at 128 KiB */
#define RUN_ENV_MAX 256
#define RUN_ENV_MAX_BYTES (128 * KIB)
#define RUN_FILES_MAX 256
#define RUN_FILES_MAX_BYTES (8 * MIB) /* all together */
#define RUN_FILE_NAME_MAX_BYTES 255

/* The table of languages */
#define LANGUAGES_MAX 128
#define LANGUAGE_IMAGES_MAX 64
#define LANGUAGES_FILE_MAX_BYTES (1 * MIB)
#define LANGUAGE_NAME_MAX_BYTES 31 /* also an alias */
#define LANGUAGE_ALIASES_MAX 16
#define LANGUAGE_TEXT_MAX_BYTES 1024 /* a command, a line of a program */
#define LANGUAGE_LINES_MAX 64        /* of a hello program */
#define LANGUAGE_ENV_MAX 16
#define LANGUAGE_PACKAGES_MAX 64        /* that an image names */
#define IMAGE_JSON_MAX_BYTES (64 * KIB) /* what images/build says of an image */
#define IMAGE_SIZE_MIN_MIB 16           /* less cannot hold its own file system */
#define IMAGE_SIZE_MAX_MIB 65536
