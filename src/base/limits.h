/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Every bound of Holm, in one place; those of the agent's protocol, of the command line, of
 * images and stores and of running code are in limits_agent.h, limits_cli.h, limits_images.h and
 * limits_run.h. What a user can meet is also in docs/limits.md. Names carry their unit. */

#define KIB ((unsigned long long)1 << 10)
#define MIB ((unsigned long long)1 << 20)
#define GIB ((unsigned long long)1 << 30)

#include "base/limits_agent.h"
#include "base/limits_cli.h"
#include "base/limits_images.h"
#include "base/limits_run.h"

/* Log */
#define LOG_LINE_MAX_BYTES 2048
#define LOG_LIMIT_BURST 10
#define LOG_LIMIT_INTERVAL_MS 10000

/* HTTP server */
#define HTTP_BODY_MAX_BYTES \
    (24 * MIB) /* 1 MiB of code may take 6 MiB of JSON escapes; files and stdin besides */
#define HTTP_BODIES_MAX_BYTES (512 * MIB)   /* request bodies of all connections together */
#define HTTP_ANSWERS_MAX_BYTES (512 * MIB)  /* answers that wait to be taken, together */
#define HTTP_HEADERS_MAX_BYTES (32 * KIB)   /* request line and headers of one request */
#define HTTP_CONNECTIONS_MAX 512            /* a listener */
#define HTTP_CONNECTIONS_SPARE 64           /* more, which are only told that there are too many */
#define HTTP_IDLE_TIMEOUT_S 75              /* without a byte, and between two requests */
#define HTTP_REQUEST_TIMEOUT_S 120          /* from a request's headers to the end of its body */
#define HTTP_SEND_TIMEOUT_S 300             /* until the client has taken an answer */
#define HTTP_UPLOAD_PACE_MIN_BYTES 1024     /* a second, of a body that is taken as it comes */
#define HTTP_SEND_PACE_MIN_BYTES (32 * KIB) /* a second, of a file that is sent */
#define HTTP_DRAIN_MAX_BYTES \
    (48 * MIB) /* of a refused body are read and dropped, so that the client sees the answer */
#define HTTP_PATH_PARAM_MAX_BYTES 1024
#define HTTP_THREAD_STACK_BYTES (1 * MIB)
#define HTTP_RETRY_AFTER_DEFAULT_S 1
/* A streamed run that fails later than this fails with status 200. */
#define HTTP_STREAM_STATUS_WAIT_MS 2000
/* How often a run that waits for its client looks whether it still should. */
#define STREAM_ASK_INTERVAL_MS 100
#define WEBSOCKET_MESSAGE_MAX_BYTES (1 * MIB)
#define WEBSOCKET_CLOSE_WAIT_MS 2000 /* for the client's part of the closing handshake */
#define JSON_DEPTH_MAX 32
#define JSON_VALUES_MAX 8192 /* in one body, told by its commas and opening brackets */

/* Files and processes the daemon reads */
#define MANIFEST_MAX_BYTES (1 * MIB)
#define COMMAND_OUTPUT_MAX_BYTES (1 * MIB)
#define QMP_MESSAGE_MAX_BYTES (4 * MIB)

/* Machines */
#define VM_VCPUS_MAX 64
#define VM_MEMORY_MIN_MIB 64
#define VM_MEMORY_MAX_MIB (1024 * 1024)

#define VM_DISK_MAX_BYTES (VM_DISK_MAX_GIB * GIB)

/* Serial consoles */
#define CONSOLE_LOG_KEEP_BYTES (256 * KIB) /* of one VM; twice that is stored at the most */
#define VM_LOG_KEEP_BYTES (64 * KIB)       /* of what Holm did with one; likewise */
#define CONSOLE_QUEUE_BYTES (1 * MIB)      /* that a slow reader may be behind */

/* Commands and streams in living VMs */
#define GUEST_STREAM_STALL_MS \
    (10 * 60 * 1000)                /* without a byte in either direction of a transfer */
#define GUEST_GROW_TIMEOUT_MS 60000 /* until a file system fills its disk */
#define GUEST_CALL_TIMEOUT_MS 30000 /* of what should be quick */
#define GUEST_FOREVER_MS \
    (INT64_C(10) * 365 * 86400 * 1000) /* no timeout, for those that have one */
#define FORWARD_CONNECTIONS_MAX 16     /* to the staging store, of one address of a VM at a time */
#define FORWARDS_MAX 4 /* addresses of the staging store that one VM knows at a time */

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

/* Accounts */
#define ACCOUNTS_MAX 4096
#define ACCOUNT_KEYS_MAX 256         /* of one account; as many revoked ones are remembered */
#define KEY_CONFIGURED_MIN_BYTES 8   /* of the key that the configuration gives the admin */
#define KEY_CONFIGURED_MAX_BYTES 255 /* what a text of the configuration can hold */
#define KEY_USED_INTERVAL_S 60       /* a key's last use is noted so exactly */
#define ACCOUNT_NAME_MAX_BYTES 128   /* also of a key */
#define QUOTA_MAX 1000000000

/* Staging */
#define STAGING_URL_S 3600                 /* how long a signed URL is good */
#define STAGING_KEEP_S 86400               /* from signing until the object is gone */
#define STAGING_FREE_MIN_BYTES (256 * MIB) /* left on the host's disk, or nothing is staged */
#define STAGING_RETRY_S 60
#define STAGING_PIECE_BYTES (256 * KIB) /* read at once on the way into a VM */

/* The native API */
#define VM_MAP_MAX_BYTES 65536 /* metadata or environment as JSON */
#define VM_MAP_NAME_MAX_BYTES 256
#define VM_METADATA_MAX 256
#define VM_METADATA_VALUE_MAX_BYTES 4096
#define VM_NAME_MAX_BYTES 4096 /* before it is cut to VM_NAME_MAX_CHARS */
#define VM_DISK_MAX_GIB 1024
#define VM_TIMER_MAX_S (10LL * 365 * 86400)
#define VM_STOP_TIMEOUT_DEFAULT_S 30
#define VM_STOP_TIMEOUT_MAX_S 3600
#define EXEC_STDIN_MAX_BYTES (4 * MIB)
#define EXEC_OUTPUT_MAX_BYTES (4 * MIB) /* each stream of a buffered answer */
#define EXEC_ARGS_MAX_BYTES (256 * KIB) /* all together */
#define CONSOLE_TOKEN_S 60              /* from its making until it must be used */
#define CONSOLE_TOKENS_MAX 4096         /* that wait to be used, of all accounts */
#define CONSOLE_PIECE_BYTES (64 * KIB)  /* one message to a client at most */
#define CONSOLE_SIZE_MAX 1000           /* rows or columns */
#define CONSOLE_ROWS_DEFAULT 24
#define CONSOLE_COLS_DEFAULT 80

/* Networks of VMs */
#define NET_PREFIX_MAX_BYTES 8        /* with a slot's number it must fit into a device's name */
#define NET_SLOTS_MAX 32768           /* a pool of /16, two addresses a slot */
#define NET_RULES_MAX 256             /* of one axis of a policy */
#define NET_DOMAINS_MAX 1024          /* of a policy's dns axis */
#define NET_DESCRIPTION_MAX_BYTES 256 /* of one rule */
#define NET_FLOWS_MAX 4096            /* connections of one VM at the same time */
#define NET_LEARNED_MAX 512           /* names with an address that are kept of one VM's answers */
#define NET_ADDRESS_MIN_S 300         /* how long an address of a name counts at least... */
#define NET_ADDRESS_MAX_S 86400       /* ... and at most, whatever its TTL is */
#define DNS_NAME_MAX_BYTES 253        /* as text, without the final dot */
#define DNS_QUERY_MAX_BYTES 1024      /* from a guest */
#define DNS_UDP_MAX_BYTES 1232        /* of an answer: fits every path unfragmented */
#define DNS_TCP_MAX_BYTES (16 * KIB)  /* likewise over TCP */
#define DNS_QUERIES_SLOT_MAX 64       /* on their way upstream for one VM */
#define DNS_QUERIES_MAX 512           /* for all VMs: each has a socket */
#define DNS_CONNECTIONS_SLOT_MAX 8    /* TCP connections of one VM */
#define DNS_ADDRESSES_MAX 64          /* taken from one answer */
#define DNS_ALIASES_MAX 16            /* CNAMEs followed in one answer */
#define DNS_TIMEOUT_MS 5000           /* for upstream, and for a guest's TCP connection */

/* Signing in */
#define SESSION_DAYS 7
#define SESSIONS_MAX 1024        /* of all accounts; the oldest goes */
#define SESSIONS_ACCOUNT_MAX 128 /* of one; its own oldest goes */
#define LOGIN_PASSWORD_MAX_BYTES 1024
#define LOGIN_KEY_MAX_BYTES 1024
#define LOGIN_ATTEMPTS_MAX 10 /* that failed, of one peer */
#define LOGIN_ATTEMPTS_ALL_MAX 100
#define LOGIN_WINDOW_S 300
#define LOGIN_PEERS_MAX 4096 /* that are remembered */
#define LOGIN_HASHES_MAX 2   /* computed at the same time */

/* Activity and webhooks */
#define ACTIVITY_KEEP 10000     /* events of one account */
#define ACTIVITY_QUEUE_MAX 1024 /* noted and not written yet */
#define ACTIVITY_TRIM_EVERY 64  /* events of an account between two looks at how many it has */
#define ACTIVITY_LIST_MAX 500
#define ACTIVITY_FOLLOWERS_MAX 64
#define WEBHOOKS_MAX 16 /* of one account */
#define WEBHOOK_TIMEOUT_MS 10000
#define WEBHOOK_TRIES 8
#define WEBHOOK_WAIT_MAX_MS 60000           /* between two tries */
#define WEBHOOK_ANSWER_MAX_BYTES (64 * KIB) /* more of an answer is not taken */
#define SSE_PING_INTERVAL_MS 15000

/* The rds dialect (docs/rds.md) */
#define RDS_CMD_MAX_BYTES (1 * MIB)
#define RDS_CODE_MAX_BYTES (1 * MIB)
#define RDS_OUTPUT_MAX_BYTES (1 * MIB) /* each stream of exec and run-ts */
#define RDS_RESULT_MAX_BYTES (1 * MIB) /* of result.set and result.error, as JSON */
#define RDS_RESULT_VALUES_MAX 131072   /* in one of these */
#define RDS_EXEC_TIMEOUT_DEFAULT_MS 30000
#define RDS_TIMEOUT_TOP_MS 86400000 /* what rds.exec_timeout_max_ms may be set to */
#define RDS_MEMORY_MIN_MIB 128
#define RDS_QUOTA_RETRY_S 60
#define RDS_DENO_FLAGS_MAX 32
#define RDS_DISK_MIN_MIB 300        /* what the files of any built-in image need */
#define RDS_START_TIMEOUT_MS 300000 /* for which a create waits for room and for a template */
#define RDS_LOG_LINES_DEFAULT 200
#define RDS_LOG_LINES_MAX 1000
#define RDS_STOP_TIMEOUT_MS 30000 /* from the power button until it is turned off */
#define RDS_RATE_MAX_PER_MIN 120  /* of one account, besides the bounds of rows */

/* Rate limits */
#define RATE_CALLERS_MAX 4096 /* that are remembered; an account or an address */

/* The dashboard */
#define WEB_FILES_MAX 512
#define WEB_FILE_MAX_BYTES (16 * MIB)
#define WEB_MAX_BYTES (64 * MIB) /* of all files */
