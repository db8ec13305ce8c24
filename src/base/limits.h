/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Every bound of Holm, in one place. What a user can meet is also in docs/limits.md. Names carry
 * their unit. */

#define KIB ((unsigned long long)1 << 10)
#define MIB ((unsigned long long)1 << 20)
#define GIB ((unsigned long long)1 << 30)

/* Log */
#define LOG_LINE_MAX_BYTES 2048
#define LOG_LIMIT_BURST 10
#define LOG_LIMIT_INTERVAL_MS 10000

/* HTTP server */
#define HTTP_BODY_MAX_BYTES \
    (24 * MIB) /* 1 MiB of code may take 6 MiB of JSON escapes; files and stdin besides */
#define HTTP_CONNECTIONS_MAX 512
#define HTTP_IDLE_TIMEOUT_S 75
#define JSON_DEPTH_MAX 32

/* Running code (runner dialect) */
#define RUN_CODE_MAX_BYTES (1 * MIB)
#define RUN_STDIN_MAX_BYTES (4 * MIB)
#define RUN_OUTPUT_MAX_BYTES \
    (4 * MIB) /* each of stdout and stderr; what is beyond is cut and reported */
#define RUN_TIMEOUT_DEFAULT_S 30
#define RUN_TIMEOUT_MAX_S 300
#define RUN_ARGS_MAX 256
#define RUN_ARGS_MAX_BYTES (128 * KIB) /* all together; Linux bounds one string at 128 KiB */
#define RUN_ENV_MAX 256
#define RUN_ENV_MAX_BYTES (128 * KIB)
#define RUN_FILES_MAX 256
#define RUN_FILES_MAX_BYTES (8 * MIB) /* all together */
#define RUN_FILE_NAME_MAX_BYTES 255

/* Agent protocol */
#define AGENT_FRAME_MAX_BYTES (64 * KIB)  /* payload of one exec frame */
#define AGENT_SPEC_MAX_BYTES (512 * KIB)  /* JSON of one exec request */
#define AGENT_REPORT_MAX_BYTES (64 * KIB) /* JSON that an agent may answer with */
#define AGENT_STREAMS_MAX 256             /* concurrent requests on one link */
#define AGENT_WINDOW_BYTES (1 * MIB)      /* HTTP/2 flow-control window, connection and stream */
#define AGENT_EXEC_ARGS_MAX 1024
#define AGENT_PATH_MAX_BYTES 4096

/* Files and processes the daemon reads */
#define MANIFEST_MAX_BYTES (1 * MIB)
#define COMMAND_OUTPUT_MAX_BYTES (1 * MIB)
#define QMP_MESSAGE_MAX_BYTES (4 * MIB)

/* Machines */
#define VM_VCPUS_MAX 64
#define VM_MEMORY_MIN_MIB 64
#define VM_MEMORY_MAX_MIB (1024 * 1024)
