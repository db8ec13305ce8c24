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
#define HTTP_BODIES_MAX_BYTES (512 * MIB)  /* request bodies of all connections together */
#define HTTP_ANSWERS_MAX_BYTES (512 * MIB) /* answers that wait to be taken, together */
#define HTTP_HEADERS_MAX_BYTES (32 * KIB)  /* request line and headers of one request */
#define HTTP_CONNECTIONS_MAX 512           /* a listener */
#define HTTP_CONNECTIONS_SPARE 64          /* more, which are only told that there are too many */
#define HTTP_IDLE_TIMEOUT_S 75             /* without a byte, and between two requests */
#define HTTP_REQUEST_TIMEOUT_S 120         /* from a request's headers to the end of its body */
#define HTTP_SEND_TIMEOUT_S 300            /* until the client has taken an answer */
#define HTTP_DRAIN_MAX_BYTES \
    (48 * MIB) /* of a refused body are read and dropped, so that the client sees the answer */
#define HTTP_PATH_PARAM_MAX_BYTES 1024
#define HTTP_THREAD_STACK_BYTES (1 * MIB)
#define HTTP_RETRY_AFTER_DEFAULT_S 1
/* A streamed run that fails later than this fails with status 200. */
#define HTTP_STREAM_STATUS_WAIT_MS 2000
/* How often a run that waits for its client looks whether it still should. */
#define STREAM_ASK_INTERVAL_MS 100
#define JSON_DEPTH_MAX 32
#define JSON_VALUES_MAX 8192 /* in one body, told by its commas and opening brackets */

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
#define AGENT_SPEC_MAX_BYTES (2 * MIB)    /* JSON of one exec request */
#define AGENT_REPORT_MAX_BYTES (64 * KIB) /* JSON that an agent may answer with */
#define AGENT_STREAMS_MAX 256             /* concurrent requests on one link */
#define AGENT_WINDOW_BYTES (1 * MIB)      /* HTTP/2 flow-control window, connection and stream */
#define AGENT_BODY_WINDOW_BYTES \
    (256 *                      \
     KIB) /* of one request body, in the agent: what it may hold of a blocked program's stdin */
#define AGENT_EXEC_ARGS_MAX 1024
#define AGENT_PATH_MAX_BYTES 4096
#define AGENT_HEADERS_MAX 32               /* header fields of one answer */
#define AGENT_HEADERS_MAX_BYTES (8 * KIB)  /* their names and values together */
#define AGENT_ACKS_MAX 64                  /* unsent answers to the agent's SETTINGS and PINGs */
#define AGENT_HELLO_REPEAT_MS 100          /* the hello is said this often */
#define AGENT_OUT_FRAMES_MAX 1024          /* unsent frames, requests included */
#define AGENT_TURN_MAX_BYTES (64 * KIB)    /* read from one guest before the next one's turn */
#define AGENT_OUT_TURN_MAX_BYTES (1 * MIB) /* likewise written to one guest */
#define AGENT_CLOCK_SLACK_MS 2000          /* how far a restored guest's clock may be off */

/* Files and processes the daemon reads */
#define MANIFEST_MAX_BYTES (1 * MIB)
#define COMMAND_OUTPUT_MAX_BYTES (1 * MIB)
#define QMP_MESSAGE_MAX_BYTES (4 * MIB)

/* The command line */
#define CLI_ANSWER_MAX_BYTES (64 * MIB) /* JSON; two streams of RUN_OUTPUT_MAX_BYTES, escaped */
#define CLI_EVENT_MAX_BYTES (1 * MIB)   /* one line of a streamed answer */
#define CLI_CONNECT_TIMEOUT_S 10
#define CLI_REQUEST_TIMEOUT_S 30 /* of requests that run nothing */
#define CLI_RUN_GRACE_S 120      /* beyond the program's own timeout: queueing, restoring, output */
#define CLI_WAIT_DEFAULT_S 60    /* for a language that is being prepared, without a terminal */
#define CLI_WAIT_MAX_S 86400
#define CLI_DOCTOR_TIMEOUT_S 60

/* Machines */
#define VM_VCPUS_MAX 64
#define VM_MEMORY_MIN_MIB 64
#define VM_MEMORY_MAX_MIB (1024 * 1024)

/* Engine */
#define ENGINE_LAYERS_MAX 64                 /* disk layers under one VM */
#define ENGINE_LAYERS_FLATTEN 16             /* with more than these, flattening merges some */
#define ENGINE_DISK_ROOM_BYTES (64 * GIB)    /* to which a disk can grow while its VM runs */
#define ENGINE_STAGING_MAX_BYTES (256 * MIB) /* changed memory held while a guest stands still */
#define ENGINE_STATE_MAX_BYTES (64 * MIB)    /* device state of one VM */
#define ENGINE_QMP_TIMEOUT_MS 15000
#define ENGINE_LAUNCH_TIMEOUT_MS \
    10000 /* from starting the launcher until it has become the monitor */
#define ENGINE_KILL_TIMEOUT_MS 10000
#define ENGINE_LOG_TAIL_BYTES (4 * KIB) /* how much of a monitor's stderr is looked at */
#define ENGINE_TCG_CACHE_MIB 128        /* translated code of one VM */
#define ENGINE_OVERHEAD_MIB 96 /* a monitor's own memory, besides guest RAM and TCG cache */
#define ENGINE_MONITOR_FDS_MAX 1024
#define ENGINE_MONITOR_TASKS_MAX 128 /* threads of a monitor, besides its vCPUs */
#define ENGINE_KVM_PROBE_MS 250      /* patience with the KVM probe */
