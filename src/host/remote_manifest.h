/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What an object store has of one image or template: files, and for each the parts of its object.
 *
 * A part is one zstd frame of at least 5 MiB (but the last): of the file's bytes that are no run of
 * zeros, in order, as its extents say. It is what is uploaded, fetched, verified and done again at
 * a time. The file's own sum is of what is in it, however it was cut (remote_piece.h).
 *
 * The same document, with how far it has come, is the journal of a push or a pull on this host's
 * disk. The one in the store is a stranger's: every number is checked before it is used. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/id.h"
#include "host/s3.h"

#define REMOTE_NAME_SIZE 96
#define REMOTE_FILE_NAME_SIZE 64
#define REMOTE_PRINT_SIZE 1024
#define REMOTE_SUM_SIZE 65
#define REMOTE_FILES_MAX 32

struct remote_extent {
    int64_t at, bytes; /* of the file */
};

struct remote_part {
    int64_t at, bytes;            /* of the object */
    char sha256[REMOTE_SUM_SIZE]; /* of the part as it is in the object */
    size_t first, n;              /* of the file's extents */

    /* journals only */
    bool done;
    char etag[S3_ETAG_SIZE]; /* push */
};

struct remote_file {
    char name[REMOTE_FILE_NAME_SIZE];
    int64_t bytes;
    int mode;
    int64_t changed_ns;
    char sha256[REMOTE_SUM_SIZE];
    bool is_rootfs; /* of a template: it is the image's root file system, and has no object */
    struct remote_part *parts;
    size_t n_parts;
    struct remote_extent *extents;
    size_t n_extents;

    /* journals only */
    bool done;
    char source[96];                   /* push: which file it was that was read */
    char upload_id[S3_UPLOAD_ID_SIZE]; /* push; "": none */
};

enum remote_kind { REMOTE_IMAGE, REMOTE_TEMPLATE };
extern const char *const remote_kind_names[]; /* NULL-terminated */

struct remote_manifest {
    enum remote_kind kind;
    char name[REMOTE_NAME_SIZE];
    char generation[ID_SIZE];            /* part of its objects' names */
    char fingerprint[REMOTE_PRINT_SIZE]; /* of a template, in what holds on every host; else "" */
    char created_at[40];
    struct remote_file files[REMOTE_FILES_MAX];
    size_t n_files;
};

enum remote_form { REMOTE_PUBLISHED, REMOTE_JOURNAL };

/* What may be part of a key: lower-case letters, digits, "@+#", and "-" and "." but not first. */
bool remote_name_ok(const char *name);

/* What is in the store ends with a line that has the SHA-256 of what is before it: appends that. */
int remote_manifest_seal(struct buf *text);
/* The length of what is before that line; ERR_UNAVAILABLE when the line is missing or wrong. */
int remote_manifest_unseal(const struct buf *text, size_t *ret_len, struct err *e);

/* *ret is empty before, or whatever when it fails; remote_manifest_done frees. ERR_UNAVAILABLE says
 * what is wrong with it. */
int remote_manifest_read(const char *text, size_t len, enum remote_form form,
                         struct remote_manifest *ret, struct err *e);
int remote_manifest_write(const struct remote_manifest *m, enum remote_form form, struct buf *ret);
void remote_manifest_done(struct remote_manifest *m);
void remote_file_clear(struct remote_file *f); /* forgets its parts */

/* Room for one more extent after `n`, which the file has, or will have before it is asked again. */
bool remote_extents_grow(struct remote_file *f, size_t n);

int64_t remote_object_bytes(const struct remote_file *f);
/* What of it is to be written: no runs of zeros. */
int64_t remote_data_bytes(const struct remote_file *f);
