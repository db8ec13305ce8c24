/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What an archive of a container's image says: an OCI layout as a tar (oci-layout, index.json,
 * blobs/sha256/...), or what `docker save` writes (manifest.json). Of several platforms linux/amd64
 * is taken. Blobs are checked against their digests when they are read. Thread: the owner's. */

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "oci/source.h"
#include "oci/tree.h"

struct oci_layer {
    uint64_t offset, size; /* in the archive */
    bool has_digest, has_diff_id;
    uint8_t digest[SOURCE_DIGEST_BYTES], diff_id[SOURCE_DIGEST_BYTES];
};

struct oci_image {
    int fd; /* borrowed */
    struct oci_layer layers[OCI_LAYERS_MAX];
    size_t n_layers;
    struct buf env;    /* NAME=value lines */
    struct buf config; /* what programs are to be started with, as JSON */
};

/* ERR_INVALID says what is wrong with it. */
int oci_open(int fd, struct oci_image *ret, struct err *e);
void oci_close(struct oci_image *image);

/* Told now and then how far it is, in bytes of the archive's layers. May be NULL. */
struct oci_meter {
    void (*moved)(void *arg, uint64_t done, uint64_t total);
    void *arg;
};

/* Applies all layers. */
int oci_read_tree(const struct oci_image *image, const struct oci_meter *meter, struct tree *t,
                  struct err *e);

/* Reads them once more, and gives the content of each entry that the tree has made an inode of. */
struct oci_sink {
    int (*begin)(void *arg, struct tree_inode *inode, struct err *e);
    int (*data)(void *arg, const void *data, size_t len, struct err *e);
    int (*end)(void *arg, struct err *e);
    void *arg;
};
int oci_read_content(const struct oci_image *image, const struct oci_meter *meter,
                     const struct tree *t, const struct oci_sink *sink, struct err *e);
