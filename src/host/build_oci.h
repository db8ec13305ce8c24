/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Images of containers' (src/oci): the parts that builds of an archive and of a Dockerfile have in
 * common. The archive is hostile: holm-oci reads it and writes the file system, in the jail that
 * monitors have, as a uid of its own, without a network, with two open files and nothing else. */

#include "host/builds.h"

/* What has been uploaded, and what is to be made of it. A task's argument. */
struct container {
    enum upload_kind kind;
    char name[IMAGE_KEY_SIZE];
    int size_mib;
    char source[PATH_MAX]; /* the uploaded file; removed with this */
    char work[PATH_MAX];   /* a directory for the rest; likewise */
};

/* Makes DATA/images/NAME of an archive. */
int container_make(struct build *b, const struct container *c, const char *archive, struct err *e);

/* Makes an archive of a directory with a Dockerfile, in c->work; `ret` has PATH_MAX bytes. */
int container_build(struct build *b, const struct container *c, char *ret, struct err *e);

/* ERR_FULL: with `more` bytes the disk that this file is on would have less than
 * IMAGE_FREE_MIN_BYTES left. */
int build_check_room(int fd, int64_t more, struct err *e);

/* An upload's answer when buildah is missing; NULL: it is there. */
const char *container_build_needs(void);
