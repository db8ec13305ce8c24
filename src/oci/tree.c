/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/limits.h"

#define BLOCK 4096
#define BUCKETS_MIN 1024

static int invalid(struct err *e, const char *name, const char *what)
{
    return err_set(e, ERR_INVALID, "a layer is refused: \"%.200s\" %s", name, what);
}

/* --- inodes --- */

static void inode_unref(struct tree *t, struct tree_inode *i)
{
    if (!i || --i->names > 0)
        return;
    /* Nobody asks for its content any more. */
    if (i->layer >= 0 && (size_t)i->layer < t->n_layers && i->entry < t->layers[i->layer].n &&
        t->layers[i->layer].inodes[i->entry] == i)
        t->layers[i->layer].inodes[i->entry] = NULL;
    free(i->link);
    free(i->data);
    free(i->xattrs);
    free(i);
}

/* --- names --- */

static uint32_t hash_of(const struct tree_node *parent, const char *name, size_t len)
{
    uint64_t h = 14695981039346656037ULL ^ (uint64_t)(uintptr_t)parent;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)name[i]) * 1099511628211ULL;
    return (uint32_t)(h ^ h >> 32);
}

static struct tree_node *child(const struct tree *t, const struct tree_node *dir, const char *name,
                               size_t len)
{
    uint32_t h = hash_of(dir, name, len);
    struct tree_node *n = t->buckets[h % t->n_buckets];
    while (n &&
           (n->hash != h || n->parent != dir || strncmp(n->name, name, len) != 0 || n->name[len]))
        n = n->hash_next;
    return n;
}

static int grow(struct tree *t)
{
    size_t n = t->n_buckets ? 4 * t->n_buckets : BUCKETS_MIN;
    struct tree_node **b = calloc(n, sizeof(struct tree_node *));
    if (!b)
        return -ENOMEM;
    for (size_t i = 0; i < t->n_buckets; i++) {
        for (struct tree_node *node = t->buckets[i], *next; node; node = next) {
            next = node->hash_next;
            node->hash_next = b[node->hash % n];
            b[node->hash % n] = node;
        }
    }
    free(t->buckets);
    t->buckets = b;
    t->n_buckets = n;
    return 0;
}

static int charge(struct tree *t, uint64_t bytes, struct err *e)
{
    t->name_bytes += bytes;
    if (t->name_bytes <= OCI_NAMES_MAX_BYTES)
        return 0;
    return err_set(e, ERR_TOO_LARGE, "its names and attributes have more than %llu MiB",
                   OCI_NAMES_MAX_BYTES >> 20);
}

/* A node without an inode, in its directory. */
static int add_node(struct tree *t, struct tree_node *dir, const char *name, size_t len,
                    struct tree_node **ret, struct err *e)
{
    int r = charge(t, len + sizeof(struct tree_node), e);
    if (r == 0 && t->n_nodes >= t->n_buckets && (r = grow(t)) < 0)
        err_errno(e, r, "read a layer");
    if (r < 0)
        return r;
    struct tree_node *n = calloc(1, sizeof(*n) + len + 1);
    if (!n)
        return err_errno(e, -ENOMEM, "read a layer");
    memcpy(n->name, name, len);
    n->parent = dir;
    n->hash = hash_of(dir, name, len);
    n->hash_next = t->buckets[n->hash % t->n_buckets];
    t->buckets[n->hash % t->n_buckets] = n;
    if (dir) {
        n->next = dir->first;
        if (n->next)
            n->next->prev = n;
        dir->first = n;
    }
    t->n_nodes++;
    *ret = n;
    return 0;
}

static void forget_node(struct tree *t, struct tree_node *n)
{
    struct tree_node **p = &t->buckets[n->hash % t->n_buckets];
    while (*p != n)
        p = &(*p)->hash_next;
    *p = n->hash_next;
    t->n_nodes--;
    inode_unref(t, n->inode);
    free(n);
}

static void unlink_node(struct tree *t, struct tree_node *n)
{
    *(n->prev ? &n->prev->next : &n->parent->first) = n->next;
    if (n->next)
        n->next->prev = n->prev;
    forget_node(t, n);
}

/* All that is below and belongs to layers before `layer`, without what holds something newer. Depth
 * is bounded when nodes are made. */
static void prune(struct tree *t, struct tree_node *dir, int layer)
{
    for (struct tree_node *n = dir->first, *next; n; n = next) {
        next = n->next;
        prune(t, n, layer);
        if (!n->first && n->layer < layer)
            unlink_node(t, n);
    }
}

/* A layer may say so of the same directory as often as it has entries. */
static void prune_once(struct tree *t, struct tree_node *dir, int layer)
{
    if (dir->pruned != layer)
        prune(t, dir, layer);
    dir->pruned = layer;
}

/* --- paths --- */

struct walk {
    struct tree *t;
    bool make; /* directories that are missing */
    int links; /* followed so far */
};

static bool is_dir(const struct tree_node *n)
{
    return n->inode->type == TAR_DIR;
}

static int depth_of(const struct tree_node *n)
{
    int depth = 0;
    for (; n->parent; n = n->parent)
        depth++;
    return depth;
}

static int make_dir(struct tree *t, struct tree_node *dir, const char *name, size_t len,
                    struct tree_node **ret, struct err *e)
{
    if (depth_of(dir) >= OCI_DEPTH_MAX)
        return invalid(e, name, "is too deep");
    struct tree_inode *i = calloc(1, sizeof(*i));
    if (!i)
        return err_errno(e, -ENOMEM, "read a layer");
    *i = (struct tree_inode){.type = TAR_DIR, .mode = 0755, .layer = -1, .names = 1};
    int r = add_node(t, dir, name, len, ret, e);
    if (r < 0) {
        free(i);
        return r;
    }
    (*ret)->inode = i;
    (*ret)->layer = (int)t->n_layers - 1;
    return 0;
}

static int walk(struct walk *w, struct tree_node *from, const char *path, struct tree_node **ret,
                struct err *e);

/* Through a symbolic link that is in `dir`. */
static int follow(struct walk *w, struct tree_node *dir, const struct tree_node *link,
                  struct tree_node **ret, struct err *e)
{
    if (++w->links > OCI_LINKS_MAX)
        return invalid(e, link->name, "is one of too many symbolic links");
    return walk(w, *link->inode->link == '/' ? w->t->root : dir, link->inode->link, ret, e);
}

/* The root's parent is the root. */
static int step(struct walk *w, struct tree_node *dir, const char *name, size_t len,
                struct tree_node **ret, struct err *e)
{
    if (len == 0 || (len == 1 && name[0] == '.')) {
        *ret = dir;
        return 0;
    }
    if (len == 2 && memcmp(name, "..", 2) == 0) {
        *ret = dir->parent ? dir->parent : dir;
        return 0;
    }
    if (!is_dir(dir))
        return invalid(e, dir->name, "is no directory, but something is to be in it");
    struct tree_node *n = child(w->t, dir, name, len);
    if (!n && !w->make)
        return -ENOENT;
    if (!n)
        return make_dir(w->t, dir, name, len, ret, e);
    if (n->inode->type == TAR_SYM)
        return follow(w, dir, n, ret, e);
    *ret = n;
    return 0;
}

/* All of the path, from `from` on; -ENOENT. */
static int walk(struct walk *w, struct tree_node *from, const char *path, struct tree_node **ret,
                struct err *e)
{
    struct tree_node *at = from;
    int r = 0;
    while (r == 0 && *path) {
        size_t len = strcspn(path, "/");
        r = step(w, at, path, len, &at, e);
        path += len + (path[len] == '/');
    }
    if (r == 0)
        *ret = at;
    return r;
}

/* The directory that a path's last name is in; *ret_name is that name. */
static int walk_parent(struct walk *w, const char *path, struct tree_node **ret,
                       const char **ret_name, struct err *e)
{
    char parent[TAR_PATH_SIZE];
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;
    memcpy(parent, path, len);
    parent[len] = '\0';
    *ret_name = slash ? slash + 1 : path;
    int r = walk(w, w->t->root, parent, ret, e);
    if (r == 0 && !is_dir(*ret))
        return invalid(e, path, "is in something that is no directory");
    return r;
}

struct tree_node *tree_find(struct tree *t, const char *path)
{
    struct walk w = {.t = t};
    struct tree_node *n = NULL;
    return walk(&w, t->root, path, &n, NULL) == 0 ? n : NULL;
}

/* --- entries --- */

static int note_inode(struct tree *t, struct tree_inode *i, struct err *e)
{
    struct layer_inodes *l = &t->layers[t->n_layers - 1];
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 1024;
        struct tree_inode **more = realloc(l->inodes, cap * sizeof(struct tree_inode *));
        if (!more)
            return err_errno(e, -ENOMEM, "read a layer");
        l->inodes = more;
        l->cap = cap;
    }
    l->inodes[l->n++] = i;
    return 0;
}

static int copy_bytes(struct tree *t, const char *from, size_t len, char **ret, struct err *e)
{
    int r = charge(t, len, e);
    if (r < 0)
        return r;
    char *copy = malloc(len + 1);
    if (!copy)
        return err_errno(e, -ENOMEM, "read a layer");
    memcpy(copy, from, len);
    copy[len] = '\0';
    *ret = copy;
    return 0;
}

static int make_inode(struct tree *t, const struct tar_entry *en, struct tree_inode **ret,
                      struct err *e)
{
    struct tree_inode *i = calloc(1, sizeof(*i));
    if (!i)
        return err_errno(e, -ENOMEM, "read a layer");
    *i = (struct tree_inode){.type = en->type,
                             .mode = en->mode,
                             .uid = en->uid,
                             .gid = en->gid,
                             .major = en->major,
                             .minor = en->minor,
                             .size = en->size,
                             .mtime_s = en->mtime_s,
                             .layer = (int)t->n_layers - 1,
                             .entry = (uint32_t)t->layers[t->n_layers - 1].n,
                             .names = 1};
    int r = en->type == TAR_SYM ? copy_bytes(t, en->link, strlen(en->link), &i->link, e) : 0;
    if (r == 0 && en->xattrs.len) {
        r = copy_bytes(t, en->xattrs.data, en->xattrs.len, &i->xattrs, e);
        i->xattrs_len = en->xattrs.len;
    }
    if (r < 0) {
        i->layer = -1;
        inode_unref(t, i);
        return r;
    }
    *ret = i;
    return 0;
}

/* Puts `i` under this name; takes a name of it, also when it fails. */
static int put(struct tree *t, struct tree_node *dir, const char *name, struct tree_inode *i,
               struct err *e)
{
    size_t len = strlen(name);
    struct tree_node *n = child(t, dir, name, len);
    int r = 0;
    if (n && !(is_dir(n) && i->type == TAR_DIR))
        prune(t, n, INT32_MAX); /* nothing below a directory outlives it */
    if (!n && depth_of(dir) >= OCI_DEPTH_MAX)
        r = invalid(e, name, "is too deep");
    if (!n && r == 0)
        r = add_node(t, dir, name, len, &n, e);
    if (r < 0) {
        inode_unref(t, i);
        return r;
    }
    struct tree_inode *old = n->inode;
    n->inode = i;
    n->layer = (int)t->n_layers - 1;
    inode_unref(t, old);
    return 0;
}

static int apply_hard(struct tree *t, struct tree_node *dir, const char *name,
                      const struct tar_entry *en, struct err *e)
{
    struct walk w = {.t = t};
    struct tree_node *at = NULL;
    const char *last;
    int r = walk_parent(&w, en->link, &at, &last, e);
    struct tree_node *to = r == 0 ? child(t, at, last, strlen(last)) : NULL;
    if (r == -EINVAL)
        return r;
    if (!to || !*last)
        return invalid(e, en->name, "is a hard link to something that is not there");
    if (is_dir(to))
        return invalid(e, en->name, "is a hard link to a directory");
    if (to->parent == dir && strcmp(to->name, name) == 0)
        return 0; /* to itself: it stays */
    if (to->inode->names >= 60000)
        return invalid(e, en->name, "has too many hard links");
    to->inode->names++;
    return put(t, dir, name, to->inode, e);
}

static void whiteout(struct tree *t, struct tree_node *dir, const char *name)
{
    int layer = (int)t->n_layers - 1;
    if (strcmp(name, ".wh..wh..opq") == 0) {
        prune_once(t, dir, layer);
        return;
    }
    if (strncmp(name, ".wh..wh.", 8) == 0)
        return; /* of a kind of file system that nobody has any more */
    struct tree_node *n = child(t, dir, name + 4, strlen(name + 4));
    if (!n || !name[4])
        return;
    prune_once(t, n, layer);
    if (!n->first && n->layer < layer)
        unlink_node(t, n);
}

static int apply_root(struct tree *t, const struct tar_entry *en, struct err *e)
{
    struct tree_inode *i = NULL;
    if (en->type != TAR_DIR)
        return invalid(e, "/", "is no directory");
    int r = make_inode(t, en, &i, e);
    if (r < 0)
        return r;
    inode_unref(t, t->root->inode);
    t->root->inode = i;
    return 0;
}

static int apply_one(struct tree *t, const struct tar_entry *en, struct tree_inode **ret_inode,
                     struct err *e)
{
    struct walk w = {.t = t,
                     .make = strncmp(en->name, ".wh.", 4) != 0 && !strstr(en->name, "/.wh.")};
    struct tree_node *dir = NULL;
    const char *name;
    if (!*en->name)
        return apply_root(t, en, e);
    int r = walk_parent(&w, en->name, &dir, &name, e);
    if (r == -ENOENT)
        return 0; /* there is nothing to be removed from */
    if (r < 0)
        return r;
    if (strncmp(name, ".wh.", 4) == 0) {
        whiteout(t, dir, name);
        return 0;
    }
    if (en->type == TAR_HARD)
        return apply_hard(t, dir, name, en, e);
    struct tree_inode *i = NULL;
    r = make_inode(t, en, &i, e);
    if (r == 0)
        r = put(t, dir, name, i, e);
    if (r == 0)
        *ret_inode = en->type == TAR_FILE ? i : NULL;
    return r;
}

int tree_apply(struct tree *t, const struct tar_entry *en, struct err *e)
{
    struct tree_inode *i = NULL;
    if (++t->n_entries > OCI_ENTRIES_MAX)
        return err_set(e, ERR_TOO_LARGE, "its layers have more than %d entries", OCI_ENTRIES_MAX);
    int r = apply_one(t, en, &i, e);
    return r < 0 ? r : note_inode(t, i, e);
}

int tree_layer(struct tree *t, struct err *e)
{
    struct layer_inodes *more = realloc(t->layers, (t->n_layers + 1) * sizeof(*more));
    if (!more)
        return err_errno(e, -ENOMEM, "read a layer");
    t->layers = more;
    t->layers[t->n_layers++] = (struct layer_inodes){0};
    return 0;
}

/* --- what is put into it besides --- */

int tree_put_dir(struct tree *t, const char *path, unsigned mode, struct err *e)
{
    struct walk w = {.t = t, .make = true};
    struct tree_node *n = NULL;
    bool was_there = tree_find(t, path);
    int r = walk(&w, t->root, path, &n, e);
    if (r == 0 && !was_there)
        n->inode->mode = mode;
    return r;
}

int tree_put_file(struct tree *t, const char *path, unsigned mode, const char *data, struct err *e)
{
    struct walk w = {.t = t, .make = true};
    struct tree_node *dir = NULL;
    const char *name;
    int r = walk_parent(&w, path, &dir, &name, e);
    if (r < 0)
        return r;
    struct tree_inode *i = calloc(1, sizeof(*i));
    if (!i)
        return err_errno(e, -ENOMEM, "make %s", path);
    *i = (struct tree_inode){
        .type = TAR_FILE, .mode = mode, .layer = -1, .names = 1, .size = strlen(data)};
    r = copy_bytes(t, data, i->size, &i->data, e);
    if (r < 0) {
        free(i);
        return r;
    }
    return put(t, dir, name, i, e);
}

/* --- all of it --- */

static void measure(const struct tree_node *n, struct tree_size *ret)
{
    uint64_t bytes = 24;
    for (const struct tree_node *c = n->first; c; c = c->next) {
        bytes += 12 + strlen(c->name);
        measure(c, ret);
    }
    /* A file with many names counts once for each; that is on the safe side. */
    ret->inodes++;
    ret->blocks += n->inode->type == TAR_DIR ? (bytes + bytes / 4) / BLOCK + 1
                                             : (n->inode->size + BLOCK - 1) / BLOCK;
    ret->blocks += n->inode->xattrs_len > 64 || (n->inode->link && strlen(n->inode->link) > 59);
}

void tree_measure(const struct tree *t, struct tree_size *ret)
{
    *ret = (struct tree_size){0};
    measure(t->root, ret);
}

int tree_init(struct tree *t, struct err *e)
{
    *t = (struct tree){0};
    struct tree_inode *i = calloc(1, sizeof(*i));
    int r = i ? grow(t) : -ENOMEM;
    if (r < 0) {
        free(i);
        return err_errno(e, r, "read an image");
    }
    *i = (struct tree_inode){.type = TAR_DIR, .mode = 0755, .layer = -1, .names = 1};
    r = add_node(t, NULL, "", 0, &t->root, e);
    if (r < 0) {
        free(i);
        return r;
    }
    t->root->inode = i;
    return 0;
}

void tree_done(struct tree *t)
{
    if (t->root) {
        prune(t, t->root, INT32_MAX);
        forget_node(t, t->root);
    }
    for (size_t i = 0; i < t->n_layers; i++)
        free(t->layers[i].inodes);
    free(t->layers);
    free(t->buckets);
    *t = (struct tree){0};
}
