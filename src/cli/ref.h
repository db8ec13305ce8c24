/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a word on the command line names: things may be called by their id, by the beginning of
 * their id, or by their name. The daemon is asked for the list only when it is needed, once.
 * Thread: the main one. */

#include <jansson.h>

#include "base/err.h"
#include "cli/api_client.h"

enum ref_kind { REF_VM, REF_SNAPSHOT, REF_IMAGE, REF_ACCOUNT, REF_KEY, REF_JOB };

#define REF_ID_SIZE 64
#define REF_NAME_SIZE 260

/* Where to look. Zero but for `client`, `kind` and, for jobs, `path` to begin with. */
struct ref {
    struct api_client *client;
    enum ref_kind kind;
    const char *path; /* of the list, where the kind alone does not say it */
    json_t *list;     /* NULL: not asked for yet */
};
void ref_done(struct ref *r);
#define auto_ref CLEANUP(ref_done)

struct ref_found {
    char id[REF_ID_SIZE];
    char name[REF_NAME_SIZE]; /* the word itself when it was an id */
};

/* A whole id is believed; then exact names count before beginnings of ids. ERR_NOT_FOUND with the
 * nearest name, ERR_CONFLICT with the candidates, and the daemon's own errors. */
int ref_find(struct ref *r, const char *word, struct ref_found *ret, struct err *e);

/* "VM", "snapshot", ...; and the path of the list, "/v1/vms". */
const char *ref_noun(enum ref_kind kind);
const char *ref_path(enum ref_kind kind);

/* The same for a single word. */
int ref_one(struct api_client *c, enum ref_kind kind, const char *word, struct ref_found *ret,
            struct err *e);
