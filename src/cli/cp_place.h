/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The two sides of `holm cp`: a place on this machine or in a VM, and what is there. Thread: the
 * main one. */

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "cli/cli.h"
#include "cli/ref.h"

#define CP_QUERY_SIZE (3 * PATH_MAX + 256)

struct cp_place {
    bool is_vm;
    struct ref_found vm;
    char path[PATH_MAX]; /* as written; in a VM made absolute */
};

/* "VM:PATH" or a path here; "-" is a stream. A name with a slash before its colon is a path. */
bool cp_place_is_remote(const char *word);
int cp_place_parse(struct ref *vms, const char *word, struct cp_place *ret, struct err *e);

struct cp_stat {
    bool exists;
    bool is_dir;
    mode_t mode;
};

/* What is there now: nothing is no error. Links are followed here, not in a VM. */
int cp_place_stat(struct api_client *c, const struct cp_place *p, struct cp_stat *ret,
                  struct err *e);

/* Into a directory that is there, a copy goes under its own name: then "/" and that name are
 * appended to `to->path`, unless `from` has none ("-", ".", "/"). */
int cp_place_into(struct cp_place *to, const struct cp_place *from, struct err *e);

/* "/v1/vms/ID/files?path=PATH" and `more` ("&mode=0644"). */
int cp_place_query(const struct cp_place *p, const char *more, char ret[CP_QUERY_SIZE],
                   struct err *e);

/* "lab:/etc/hosts", for people. */
void cp_place_name(const struct cp_place *p, char *ret, size_t size);
