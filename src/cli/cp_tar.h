/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Directories as tar streams, by the host's tar run without a shell. Thread: the main one. */

#include <sys/types.h>

#include "base/err.h"

struct cp_tar {
    pid_t pid; /* 0: none */
    int fd;    /* our end of its pipe: to read the archive from, or to write it to; -1: closed */
};

/* Starts packing what is in directory `dir`; names in the archive begin with "./". Owners are root,
 * since the numbers of this machine mean nothing in another. */
int cp_tar_pack(const char *dir, struct cp_tar *ret, struct err *e);

/* Starts unpacking into directory `dir`: permissions as in the archive, but for the set-id bits;
 * owners ours. */
int cp_tar_unpack(const char *dir, struct cp_tar *ret, struct err *e);

/* Closes the pipe and waits for its end. ERR_UNAVAILABLE when it failed; it has said why on our
 * stderr. */
int cp_tar_finish(struct cp_tar *t, struct err *e);

/* The same when nobody wants to know. */
void cp_tar_done(struct cp_tar *t);
