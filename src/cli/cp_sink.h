/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where a copy out of a VM goes on this machine: a file, a directory, standard output. Thread: the
 * main one. */

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/cp_tar.h"

struct cp_sink {
    struct cli *cli;
    int fd;          /* what is written to; -1: none */
    bool is_regular; /* it never blocks */
    bool is_dir;
    struct cp_tar tar;     /* a directory's */
    char final[PATH_MAX];  /* what the file is called once it is whole; "": has its name */
    char beside[PATH_MAX]; /* what it is called until then */
};

/* A file that is written beside `path` and renamed over it by cp_sink_commit; what is no regular
 * file (a pipe, /dev/null) is written to as it is. "-": standard output. */
int cp_sink_open_file(struct cli *cli, const char *path, mode_t mode, struct cp_sink *ret,
                      struct err *e);

/* A directory, made when missing (but not those above it), that a tar stream is unpacked into. */
int cp_sink_open_dir(struct cli *cli, const char *path, struct cp_sink *ret, struct err *e);

int cp_sink_write(struct cp_sink *s, const char *data, size_t len, struct err *e);

/* Everything has been written. */
int cp_sink_commit(struct cp_sink *s, struct err *e);

/* Without a commit, a file is as it was before. */
void cp_sink_done(struct cp_sink *s);
