/* SPDX-License-Identifier: Apache-2.0 */

/* Layers by hostile hands: plain tars, one behind the other, each with a byte before it that says
 * how many blocks of 512 bytes it has. Whatever comes, what is made is a tree. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "oci/tar.h"
#include "oci/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t left;
};

static ssize_t read_input(void *arg, void *buf, size_t len, struct err *e)
{
    struct input *in = arg;
    size_t n = len < in->left ? len : in->left;
    memcpy(buf, in->data, n);
    in->data += n;
    in->left -= n;
    return (ssize_t)n;
}

/* Every directory is one, every name is in one, and each is found by its way. */
static void check(struct tree *t, const struct tree_node *n, int depth)
{
    assert(n->inode && n->inode->names > 0);
    assert(!n->first || n->inode->type == TAR_DIR);
    assert(depth < 600);
    for (const struct tree_node *c = n->first; c; c = c->next) {
        assert(c->parent == n && c->name[0] && !strchr(c->name, '/'));
        assert(strcmp(c->name, ".") != 0 && strcmp(c->name, "..") != 0);
        check(t, c, depth + 1);
    }
}

static int layer(struct tree *t, const uint8_t *data, size_t size)
{
    struct err e = ERR_INIT;
    struct input in = {data, size};
    struct tar tar = {.read = read_input, .arg = &in};
    struct tar_entry en = {0};
    int r = tree_layer(t, &e);
    while (r >= 0 && (r = tar_next(&tar, &en, &e)) > 0)
        r = tree_apply(t, &en, &e);
    assert(r >= 0 || e.text[0]);
    tar_entry_done(&en);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tree t = {0};
    struct tree_size measured;
    int r = tree_init(&t, NULL);
    while (r == 0 && size > 1) {
        size_t n = (size_t)data[0] * 512;
        n = n < size - 1 ? n : size - 1;
        r = layer(&t, data + 1, n);
        data += n + 1;
        size -= n + 1;
    }
    (void)tree_put_dir(&t, "etc/holm", 0755, NULL);
    (void)tree_put_file(&t, "etc/hosts", 0644, "x", NULL);
    check(&t, t.root, 0);
    tree_measure(&t, &measured);
    assert(measured.inodes == t.n_nodes);
    tree_done(&t);
    return 0;
}
