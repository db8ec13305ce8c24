/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The bounds of the agent's protocol; a part of limits.h, by which it is included. */

/* Agent protocol */
#define AGENT_FRAME_MAX_BYTES (64 * KIB)   /* payload of one exec frame */
#define AGENT_HTTP2_FRAME_BYTES (64 * KIB) /* payload of one HTTP/2 frame, either way */
#define AGENT_SPEC_MAX_BYTES (2 * MIB)     /* JSON of one exec request */
#define AGENT_REPORT_MAX_BYTES (64 * KIB)  /* JSON that an agent may answer with */
#define AGENT_STREAMS_MAX 256              /* concurrent requests on one link */
#define AGENT_WINDOW_BYTES (1 * MIB)       /* HTTP/2 flow-control window, connection and stream */
#define AGENT_BODY_WINDOW_BYTES \
    (256 *                      \
     KIB) /* of one request body, in the agent: what it may hold of a blocked program's stdin */
#define AGENT_FILE_WINDOW_BYTES (1 * MIB) /* likewise of a file that is written as it comes */
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
#define AGENT_USER_MAX_BYTES 64            /* name of a user */
#define AGENT_LIST_MAX 10000               /* entries of a directory that is listed */
#define AGENT_ANSWER_MAX_BYTES (20 * MIB)  /* the JSON of AGENT_LIST_MAX escaped names */
#define AGENT_JOBS_MAX 64                  /* detached programs, running and ended */
#define AGENT_JOB_ARGV_MAX_BYTES (4 * KIB) /* what is told of a job's argv */
#define AGENT_JOB_SEGMENT_BYTES \
    (33 * MIB) /* a job's output is kept in two files of at most this size, frames included */
#define AGENT_JOB_INPUT_MAX_BYTES (64 * MIB)  /* what is sent to a job before it starts */
#define AGENT_WARM_MAX 8                      /* programs that wait */
#define AGENT_WARM_OUTPUT_MAX_BYTES (1 * MIB) /* what one may write before it is handed over */
#define AGENT_ORPHAN_TIMEOUT_MS 10000         /* programs without a session live this long */

/* Archives that are unpacked in VMs */
#define ARCHIVE_MAX_BYTES (10 * MIB)          /* compressed */
#define ARCHIVE_UNPACKED_MAX_BYTES (50 * MIB) /* contents of all files */
#define ARCHIVE_ENTRIES_MAX 10000
#define ARCHIVE_NAMES_MAX_BYTES (4 * MIB) /* of all entries together */
#define ARCHIVES_MAX_BYTES (256 * MIB)    /* compressed, of all that are held together */
