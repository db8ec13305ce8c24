/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The files of a container's image, as its layers make them, in memory: names and attributes only;
 * content stays in the layers, and an inode knows which entry of which layer has it. Nothing is
 * looked up on the host, so no name can lead anywhere.
 *
 * A layer is applied entry by entry, in its order. ".wh.NAME" removes NAME, and ".wh..wh..opq" all
 * that a directory has, of the layers below: never what the same layer brings. A name may lead
 * through symbolic links; they are followed within the tree. Thread: the owner's. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "oci/tar.h"

struct tree_inode {
    enum tar_type type; /* never TAR_HARD */
    unsigned mode;
    uint32_t uid, gid, major, minor;
    uint64_t size;
    int64_t mtime_s;
    int layer;      /* whose entry it is; negative: `data` is its content */
    uint32_t entry; /* which one, counted from 0 */
    char *link;     /* of a symbolic link */
    char *data;     /* of a file that was made here; NULL: empty */
    char *xattrs;   /* as tar_entry's; NULL: none */
    size_t xattrs_len;
    unsigned names;  /* how many nodes have it */
    uint32_t number; /* for who writes them: 0 at first */
};

struct tree_node {
    struct tree_node *parent;      /* NULL: the root */
    struct tree_node *first;       /* below it */
    struct tree_node *prev, *next; /* beside it */
    struct tree_node *hash_next;
    struct tree_inode *inode;
    int layer;  /* that named it last */
    int pruned; /* the last layer that took away what is below it; nothing older can come back */
    uint32_t hash;
    char name[];
};

struct tree {
    struct tree_node *root;
    struct tree_node **buckets;
    size_t n_buckets;
    size_t n_nodes;
    uint64_t n_entries;  /* applied, of all layers */
    uint64_t name_bytes; /* of names, links and attributes */
    struct layer_inodes *layers;
    size_t n_layers;
};

/* What each entry of a layer has become; NULL: nothing that has content, or it was replaced. */
struct layer_inodes {
    struct tree_inode **inodes;
    size_t n, cap;
};

/* Zero-initialise. */
int tree_init(struct tree *t, struct err *e);
void tree_done(struct tree *t);

/* Begins the next layer. */
int tree_layer(struct tree *t, struct err *e);
/* ERR_INVALID, ERR_TOO_LARGE. */
int tree_apply(struct tree *t, const struct tar_entry *en, struct err *e);

/* The node of a path (relative, clean); links are followed within the tree, the last one too.
 * NULL: it is not there. */
struct tree_node *tree_find(struct tree *t, const char *path);
/* A directory, made when it is missing, and its parents; what is there stays. */
int tree_put_dir(struct tree *t, const char *path, unsigned mode, struct err *e);
/* A file of root's; replaces what is there. `data` is copied. */
int tree_put_file(struct tree *t, const char *path, unsigned mode, const char *data, struct err *e);

/* What it comes to, for who makes a file system for it. */
struct tree_size {
    uint64_t inodes, blocks; /* blocks of 4 KiB, directories and long attributes included */
};
void tree_measure(const struct tree *t, struct tree_size *ret);
