/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/ext4.h"

#include <errno.h>
#include <et/com_err.h>
#include <ext2fs/ext2fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 4096
#define DIRS_MAX 64000 /* in one directory: each is a link to it, and those have 16 bits */

struct fill {
    ext2_filsys fs;
    const struct tree *tree;
    /* The file at hand. */
    ext2_file_t file;
    ext2_ino_t ino;
    uint64_t at; /* in it */
    uint64_t size;
    char block[BLOCK];
    size_t have; /* of block */
};

static int failed(struct err *e, errcode_t r, const char *what, const char *name)
{
    if (r == EXT2_ET_BLOCK_ALLOC_FAIL || r == EXT2_ET_INODE_ALLOC_FAIL)
        return err_set(e, ERR_FULL, "the image's file system is too small: give it a larger size");
    return err_set(e, ERR_INTERNAL, "%s %.100s: %s", what, name, error_message(r));
}

/* --- inodes --- */

static unsigned mode_of(const struct tree_inode *i)
{
    static const unsigned kinds[] = {
        [TAR_FILE] = LINUX_S_IFREG,  [TAR_SYM] = LINUX_S_IFLNK, [TAR_CHAR] = LINUX_S_IFCHR,
        [TAR_BLOCK] = LINUX_S_IFBLK, [TAR_DIR] = LINUX_S_IFDIR, [TAR_FIFO] = LINUX_S_IFIFO};
    return kinds[i->type] | (i->type == TAR_SYM ? 0777 : i->mode);
}

static int kind_of(const struct tree_inode *i)
{
    static const int kinds[] = {
        [TAR_FILE] = EXT2_FT_REG_FILE, [TAR_SYM] = EXT2_FT_SYMLINK, [TAR_CHAR] = EXT2_FT_CHRDEV,
        [TAR_BLOCK] = EXT2_FT_BLKDEV,  [TAR_DIR] = EXT2_FT_DIR,     [TAR_FIFO] = EXT2_FT_FIFO};
    return kinds[i->type];
}

/* Owner, mode and times, into what is there of it. Times have 32 bits here. */
static void set_attributes(struct ext2_inode *to, const struct tree_inode *from)
{
    int64_t t = from->mtime_s < 0 ? 0 : from->mtime_s > INT32_MAX ? INT32_MAX : from->mtime_s;
    to->i_mode = (uint16_t)mode_of(from);
    to->i_uid = (uint16_t)from->uid;
    to->i_gid = (uint16_t)from->gid;
    to->osd2.linux2.l_i_uid_high = (uint16_t)(from->uid >> 16);
    to->osd2.linux2.l_i_gid_high = (uint16_t)(from->gid >> 16);
    to->i_atime = to->i_ctime = to->i_mtime = (uint32_t)t;
}

static bool is_kept(const char *name)
{
    return strncmp(name, "user.", 5) == 0 || strncmp(name, "trusted.", 8) == 0 ||
           strncmp(name, "security.", 9) == 0;
}

static int set_xattrs(struct fill *f, ext2_ino_t ino, const struct tree_inode *i, const char *name,
                      struct err *e)
{
    struct ext2_xattr_handle *h;
    errcode_t r = i->xattrs ? ext2fs_xattrs_open(f->fs, ino, &h) : 0;
    if (r || !i->xattrs)
        return r ? failed(e, r, "attributes of", name) : 0;
    r = ext2fs_xattrs_read(h);
    for (const char *p = i->xattrs; !r && p < i->xattrs + i->xattrs_len;) {
        const char *key = p;
        uint32_t len;
        p += strlen(p) + 1;
        memcpy(&len, p, sizeof(len));
        p += sizeof(len);
        if (is_kept(key))
            r = ext2fs_xattr_set(h, key, p, len);
        p += len;
    }
    if (!r)
        r = ext2fs_xattrs_write(h);
    ext2fs_xattrs_close(&h);
    return r ? failed(e, r, "attributes of", name) : 0;
}

static int link_name(struct fill *f, ext2_ino_t dir, const char *name, ext2_ino_t ino, int kind,
                     struct err *e)
{
    errcode_t r = ext2fs_link(f->fs, dir, name, ino, kind);
    if (r == EXT2_ET_DIR_NO_SPACE) {
        r = ext2fs_expand_dir(f->fs, dir);
        if (!r)
            r = ext2fs_link(f->fs, dir, name, ino, kind);
    }
    return r ? failed(e, r, "name", name) : 0;
}

static void set_device(struct ext2_inode *to, const struct tree_inode *i)
{
    if (i->major < 256 && i->minor < 256)
        to->i_block[0] = i->major << 8 | i->minor;
    else
        to->i_block[1] = (i->minor & 0xff) | i->major << 8 | (i->minor & ~0xffU) << 12;
}

/* A file (empty as yet), device or FIFO. */
static int make_plain(struct fill *f, ext2_ino_t dir, const struct tree_inode *i, const char *name,
                      ext2_ino_t *ret, struct err *e)
{
    struct ext2_inode inode = {0};
    ext2_extent_handle_t extents;
    errcode_t r = ext2fs_new_inode(f->fs, dir, (int)mode_of(i), 0, ret);
    if (r)
        return failed(e, r, "make", name);
    ext2fs_inode_alloc_stats2(f->fs, *ret, +1, 0);
    set_attributes(&inode, i);
    inode.i_links_count = 1;
    if (i->type == TAR_CHAR || i->type == TAR_BLOCK)
        set_device(&inode, i);
    if (i->type == TAR_FILE) {
        r = ext2fs_inode_size_set(f->fs, &inode, (ext2_off64_t)i->size);
        if (!r)
            r = ext2fs_extent_open2(f->fs, *ret, &inode, &extents);
        if (!r)
            ext2fs_extent_free(extents);
    }
    if (!r)
        r = ext2fs_write_new_inode(f->fs, *ret, &inode);
    return r ? failed(e, r, "make", name) : link_name(f, dir, name, *ret, kind_of(i), e);
}

/* Those that libext2fs makes with their names. */
static int make_special(struct fill *f, ext2_ino_t dir, const struct tree_inode *i,
                        const char *name, ext2_ino_t *ret, struct err *e)
{
    struct ext2_inode inode;
    bool is_dir = i->type == TAR_DIR;
    errcode_t r = ext2fs_new_inode(f->fs, dir, (int)mode_of(i), 0, ret);
    for (int tries = 0; !r && tries < 2; tries++) {
        r = is_dir ? ext2fs_mkdir(f->fs, dir, *ret, name)
                   : ext2fs_symlink(f->fs, dir, *ret, name, i->link);
        if (r != EXT2_ET_DIR_NO_SPACE)
            break;
        r = ext2fs_expand_dir(f->fs, dir);
    }
    if (!r)
        r = ext2fs_read_inode(f->fs, *ret, &inode);
    if (!r) {
        set_attributes(&inode, i);
        r = ext2fs_write_inode(f->fs, *ret, &inode);
    }
    return r ? failed(e, r, "make", name) : 0;
}

/* One more name of what is there. */
static int add_name(struct fill *f, ext2_ino_t dir, const struct tree_inode *i, const char *name,
                    struct err *e)
{
    struct ext2_inode inode;
    int r = link_name(f, dir, name, i->number, kind_of(i), e);
    if (r < 0)
        return r;
    errcode_t x = ext2fs_read_inode(f->fs, i->number, &inode);
    inode.i_links_count++;
    if (!x)
        x = ext2fs_write_inode(f->fs, i->number, &inode);
    return x ? failed(e, x, "link", name) : 0;
}

/* --- content --- */

static bool is_zero(const char *p, size_t len)
{
    return p[0] == 0 && memcmp(p, p + 1, len - 1) == 0;
}

static int flush_block(struct fill *f, struct err *e)
{
    unsigned written = 0;
    errcode_t r = 0;
    if (f->have && !is_zero(f->block, f->have)) {
        r = ext2fs_file_llseek(f->file, f->at, EXT2_SEEK_SET, NULL);
        if (!r)
            r = ext2fs_file_write(f->file, f->block, (unsigned)f->have, &written);
        if (!r && written != f->have)
            r = EXT2_ET_SHORT_WRITE;
    }
    f->at += f->have;
    f->have = 0;
    return r ? failed(e, r, "write", "a file") : 0;
}

static int content_begin(void *arg, struct tree_inode *i, struct err *e)
{
    struct fill *f = arg;
    f->at = f->have = 0;
    f->size = i->size;
    f->ino = i->number;
    errcode_t r = ext2fs_file_open(f->fs, i->number, EXT2_FILE_WRITE, &f->file);
    return r ? failed(e, r, "write", "a file") : 0;
}

static int content_data(void *arg, const void *data, size_t len, struct err *e)
{
    struct fill *f = arg;
    const char *p = data;
    while (len) {
        size_t n = BLOCK - f->have < len ? BLOCK - f->have : len;
        memcpy(f->block + f->have, p, n);
        f->have += n;
        p += n;
        len -= n;
        int r = f->have == BLOCK ? flush_block(f, e) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static int content_end(void *arg, struct err *e)
{
    struct fill *f = arg;
    int r = flush_block(f, e);
    errcode_t x = ext2fs_file_set_size2(f->file, (ext2_off64_t)f->size);
    errcode_t y = ext2fs_file_close(f->file);
    f->file = NULL;
    return r < 0 ? r : x || y ? failed(e, x ? x : y, "write", "a file") : 0;
}

static int write_own(struct fill *f, struct tree_inode *i, struct err *e)
{
    int r = content_begin(f, i, e);
    if (r < 0)
        return r;
    r = content_data(f, i->data, (size_t)i->size, e);
    int end = content_end(f, r < 0 ? NULL : e);
    return r < 0 ? r : end;
}

/* --- the tree --- */

static int fill_dir(struct fill *f, ext2_ino_t ino, const struct tree_node *dir, struct err *e);

static bool is_lost_found(const struct tree_node *n)
{
    return !n->parent->parent && strcmp(n->name, "lost+found") == 0;
}

/* The one that mke2fs has made. */
static int take_lost_found(struct fill *f, const struct tree_inode *i, ext2_ino_t *ret,
                           struct err *e)
{
    static const char name[] = "lost+found";
    struct ext2_inode inode;
    if (i->type != TAR_DIR)
        return err_set(e, ERR_INVALID, "its /%s is no directory, as ext4 has it", name);
    errcode_t r = ext2fs_lookup(f->fs, EXT2_ROOT_INO, name, (int)strlen(name), NULL, ret);
    if (!r)
        r = ext2fs_read_inode(f->fs, *ret, &inode);
    if (!r) {
        set_attributes(&inode, i);
        r = ext2fs_write_inode(f->fs, *ret, &inode);
    }
    return r ? failed(e, r, "make", name) : 0;
}

static int make_inode(struct fill *f, ext2_ino_t dir, const struct tree_node *n, ext2_ino_t *ret,
                      struct err *e)
{
    const struct tree_inode *i = n->inode;
    if (is_lost_found(n))
        return take_lost_found(f, i, ret, e);
    return i->type == TAR_DIR || i->type == TAR_SYM ? make_special(f, dir, i, n->name, ret, e)
                                                    : make_plain(f, dir, i, n->name, ret, e);
}

static int make_node(struct fill *f, ext2_ino_t dir, const struct tree_node *n, struct err *e)
{
    struct tree_inode *i = n->inode;
    ext2_ino_t ino = 0;
    if (i->number && !is_lost_found(n))
        return add_name(f, dir, i, n->name, e);
    int r = make_inode(f, dir, n, &ino, e);
    if (r < 0)
        return r;
    i->number = ino;
    r = set_xattrs(f, ino, i, n->name, e);
    if (r == 0 && i->data && i->size)
        r = write_own(f, i, e);
    return r == 0 && i->type == TAR_DIR ? fill_dir(f, ino, n, e) : r;
}

static int check_dirs(const struct tree_node *dir, struct err *e)
{
    int dirs = 0;
    for (const struct tree_node *n = dir->first; n; n = n->next)
        dirs += n->inode->type == TAR_DIR;
    return dirs <= DIRS_MAX
               ? 0
               : err_set(e, ERR_TOO_LARGE, "\"%.200s\" has more than %d directories in it",
                         dir->name, DIRS_MAX);
}

static int fill_dir(struct fill *f, ext2_ino_t ino, const struct tree_node *dir, struct err *e)
{
    int checked = check_dirs(dir, e);
    if (checked < 0)
        return checked;
    for (const struct tree_node *n = dir->first; n; n = n->next) {
        int r = make_node(f, ino, n, e);
        if (r < 0)
            return r;
    }
    return 0;
}

static int fill_root(struct fill *f, struct err *e)
{
    struct ext2_inode inode;
    struct tree_inode *i = f->tree->root->inode;
    errcode_t r = ext2fs_read_inode(f->fs, EXT2_ROOT_INO, &inode);
    if (!r) {
        set_attributes(&inode, i);
        r = ext2fs_write_inode(f->fs, EXT2_ROOT_INO, &inode);
    }
    i->number = EXT2_ROOT_INO;
    if (r)
        return failed(e, r, "make", "/");
    int x = set_xattrs(f, EXT2_ROOT_INO, i, "/", e);
    return x < 0 ? x : fill_dir(f, EXT2_ROOT_INO, f->tree->root, e);
}

static int fill_all(struct fill *f, const struct oci_image *image, const struct oci_meter *meter,
                    struct err *e)
{
    const struct oci_sink sink = {
        .begin = content_begin, .data = content_data, .end = content_end, .arg = f};
    errcode_t x = ext2fs_read_bitmaps(f->fs);
    if (x)
        return failed(e, x, "open", "the file system");
    int r = fill_root(f, e);
    return r < 0 ? r : oci_read_content(image, meter, f->tree, &sink, e);
}

int ext4_fill(int fd, const struct oci_image *image, const struct oci_meter *meter,
              const struct tree *t, struct err *e)
{
    struct fill *f = calloc(1, sizeof(*f));
    char name[16];
    if (!f)
        return err_errno(e, -ENOMEM, "fill a file system");
    initialize_ext2_error_table();
    f->tree = t;
    snprintf(name, sizeof(name), "%d", fd);
    int flags = EXT2_FLAG_RW | EXT2_FLAG_64BITS;
    errcode_t x = ext2fs_open(name, flags, 0, 0, unixfd_io_manager, &f->fs);
    int r = x ? failed(e, x, "open", "the file system") : fill_all(f, image, meter, e);
    if (f->file)
        ext2fs_file_close(f->file);
    x = f->fs ? ext2fs_close_free(&f->fs) : 0;
    if (r == 0 && x)
        r = failed(e, x, "close", "the file system");
    free(f);
    return r;
}
