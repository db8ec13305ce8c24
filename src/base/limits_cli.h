/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The bounds of the command line; a part of limits.h, by which it is included. */

/* The command line */
#define CLI_ANSWER_MAX_BYTES (64 * MIB) /* JSON; two streams of RUN_OUTPUT_MAX_BYTES, escaped */
#define CLI_EVENT_MAX_BYTES (1 * MIB)   /* one line of a streamed answer */
#define CLI_CONNECT_TIMEOUT_S 10
#define CLI_REQUEST_TIMEOUT_S 30 /* of requests that run nothing */
#define CLI_RUN_GRACE_S 120      /* beyond the program's own timeout: queueing, restoring, output */
#define CLI_WAIT_DEFAULT_S 60    /* for a language that is being prepared, without a terminal */
#define CLI_WAIT_MAX_S 86400
#define CLI_DOCTOR_TIMEOUT_S 60
#define CLI_POLL_MIN_MS 100 /* between two looks at a VM that is being started: doubles up to */
#define CLI_POLL_MAX_MS 1000
#define CLI_DISK_MAX_GIB 65536
#define CLI_WORDS_MAX 1000 /* VMs on one command line, and the like */
#define CLI_STOP_TIMEOUT_MAX_S 3600
#define CLI_EXEC_TIMEOUT_MAX_S (7 * 86400)
#define CLI_QUOTA_MAX 1000000
#define CLI_COPY_BUFFER_BYTES (2 * MIB) /* between two VMs */
#define CLI_LOG_LINES_MAX 1000000
#define CLI_TOP_FIRST_MS 500 /* between the first two samples of holm top */
#define CLI_KEY_FILE_MAX_BYTES (4 * KIB)
#define KEY_LIFE_MAX_S (100 * 365 * 86400LL) /* that --expires may ask for */
#define CLI_POLICY_MAX_BYTES (1 * MIB)
#define CLI_UPLOAD_BUFFER_BYTES (512 * KIB)
#define CLI_DOWNLOAD_BUFFER_BYTES (512 * KIB)
