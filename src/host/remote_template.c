/* SPDX-License-Identifier: Apache-2.0 */

/* Templates in an object store. What one depends on is told here by times and sizes of files, which
 * are another host's: there it is told by their sums. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "host/host_priv.h"
#include "host/image_priv.h"
#include "host/image_rows.h"
#include "host/remote_piece.h"
#include "host/remote_priv.h"

static const struct language *language_of(const struct remote_run *run)
{
    return host_language_find(run->m.name);
}

static void rootfs_path(const struct remote_run *run, char *ret)
{
    image_path(run->host, language_of(run)->image, "rootfs.ext4", ret);
}

/* --- what it depends on --- */

static int add_sum(const struct remote_run *run, const char *label, const char *path,
                   struct buf *ret, struct err *e)
{
    char sum[REMOTE_SUM_SIZE];
    struct s3_wait wait = {.cancelled = run->task->cancelled, .arg = run->task->arg};
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, -errno, "look at its %s", label);
    int r = remote_sum(fd, &wait, sum, e);
    return r == 0 ? buf_printf(ret, "%s=%s;", label, sum) : r;
}

/* The image set's line, in which files are named by what is in them. */
static int portable(const struct remote_run *run, const char *print, struct buf *ret, struct err *e)
{
    const struct host *h = run->host;
    char path[PATH_MAX];
    int r = 0;
    while (r == 0 && *print) {
        size_t len = strcspn(print, ";");
        if (strncmp(print, "vmlinuz=", 8) == 0 || strncmp(print, "initrd.img=", 11) == 0) {
            char label[16];
            snprintf(label, sizeof(label), "%.*s", (int)strcspn(print, "="), print);
            path_printf(path, sizeof(path), "%s/kernel/%s", h->config->data_dir, label);
            r = add_sum(run, label, path, ret, e);
        } else if (strncmp(print, "rootfs=", 7) == 0) {
            rootfs_path(run, path);
            r = add_sum(run, "rootfs", path, ret, e);
        } else {
            r = buf_printf(ret, "%.*s;", (int)len, print);
        }
        print += len + (print[len] == ';');
    }
    return r == 0 && ret->failed ? err_errno(e, -ENOMEM, "fingerprint") : r;
}

/* What of the two is not the same, in words. */
static int refuse(const struct remote_run *run, const char *here, struct err *e)
{
    static const struct {
        const char *label, *words;
    } rows[] = {{"rootfs", "another image"},
                {"vmlinuz", "another kernel"},
                {"initrd.img", "another agent"},
                {"vcpus", "another number of vCPUs"},
                {"memory_mib", "another amount of memory"}};
    const char *there = run->m.fingerprint, *words = "another engine, or another version of it";
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char name[32];
        snprintf(name, sizeof(name), "%s=", rows[i].label);
        const char *a = strstr(here, name), *b = strstr(there, name);
        size_t n = a ? strcspn(a, ";") : 0;
        if (!a || !b || n != strcspn(b, ";") || memcmp(a, b, n) != 0) {
            words = rows[i].words;
            break;
        }
    }
    return err_set(e, ERR_CONFLICT, "the template of %s was made with %s than this host's",
                   run->m.name, words);
}

/* Its line here and everywhere. */
static int look(struct remote_run *run, struct image *im, struct buf *ret_here, struct buf *ret,
                struct err *e)
{
    int r = template_fingerprint(run->host->images, im, ret_here, e);
    return r == 0 ? portable(run, buf_str(ret_here), ret, e) : r;
}

/* --- push --- */

static bool is_same(const char *a, const struct stat *b)
{
    struct stat st;
    return stat(a, &st) == 0 && st.st_dev == b->st_dev && st.st_ino == b->st_ino;
}

static int add_file(struct remote_run *run, const char *dir, const char *name, struct err *e)
{
    char path[PATH_MAX], rootfs[PATH_MAX];
    struct stat st;
    int r = path_printf(path, sizeof(path), "%s/%s", dir, name);
    if (r < 0 || lstat(path, &st) < 0)
        return err_errno(e, r < 0 ? r : -errno, "look at its %s", name);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_CONFLICT, "the template's %s is no file", name);
    if (run->m.n_files == REMOTE_FILES_MAX)
        return err_set(e, ERR_TOO_LARGE, "the template has more than %d files", REMOTE_FILES_MAX);
    struct remote_file *f = &run->m.files[run->m.n_files++];
    r = path_printf(f->name, sizeof(f->name), "%s", name);
    rootfs_path(run, rootfs);
    f->is_rootfs = is_same(rootfs, &st);
    if (!f->is_rootfs || r < 0)
        return r < 0 ? err_errno(e, r, "%s", name) : 0;
    f->bytes = st.st_size;
    f->mode = (int)(st.st_mode & 0777);
    const char *sum = strstr(run->m.fingerprint, "rootfs=");
    snprintf(f->sha256, sizeof(f->sha256), "%.64s", sum ? sum + 7 : "");
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const struct remote_file *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int add_files(struct remote_run *run, const char *dir, struct err *e)
{
    auto_closedir DIR *d = opendir(dir);
    int r = d ? 0 : err_errno(e, -errno, "open the template");
    for (struct dirent *de; d && r == 0 && (de = readdir(d));) {
        if (de->d_name[0] != '.')
            r = add_file(run, dir, de->d_name, e);
    }
    qsort(run->m.files, run->m.n_files, sizeof(run->m.files[0]), by_name);
    return r;
}

static int push_held(struct remote_run *run, const struct image_use *use, struct err *e)
{
    auto_buf struct buf here = {0}, print = {0};
    int r = look(run, use->image, &here, &print, e);
    if (r == 0)
        r = path_printf(run->m.fingerprint, sizeof(run->m.fingerprint), "%s", buf_str(&print));
    if (r == 0)
        r = add_files(run, use->template_dir, e);
    if (r == 0 && (r = dir_make(run->dir, 0700)) < 0)
        return err_errno(e, r, "make a directory for the journal");
    id_new(run->m.generation);
    return r == 0 ? remote_push_files(run, use->template_dir, e) : r;
}

int remote_push_template(struct remote_run *run, struct err *e)
{
    struct image_use use = {0};
    const struct image_ask ask = image_of_language(language_of(run));
    int r = image_ready(run->host->images, &ask, &use, e);
    if (r < 0)
        return r;
    r = push_held(run, &use, e);
    image_release(run->host->images, &use);
    return r;
}

/* --- pull --- */

static int link_rootfs(struct remote_run *run, struct err *e)
{
    char rootfs[PATH_MAX], path[PATH_MAX];
    rootfs_path(run, rootfs);
    for (size_t i = 0; i < run->m.n_files; i++) {
        const struct remote_file *f = &run->m.files[i];
        if (!f->is_rootfs)
            continue;
        int r = path_printf(path, sizeof(path), "%s/%s", run->dir, f->name);
        unlink(path); /* of a former try */
        if (r < 0 || link(rootfs, path) < 0)
            return err_errno(e, r < 0 ? r : -errno, "link the image into the template");
    }
    return 0;
}

/* From the image's being held to its being given back nobody else makes a template of it. */
static int place(struct remote_run *run, struct image *im, struct err *e)
{
    auto_buf struct buf here = {0}, print = {0};
    char id[ID_SIZE], dir[PATH_MAX], journal[PATH_MAX];
    int r = look(run, im, &here, &print, e);
    if (r == 0 && strcmp(buf_str(&print), run->m.fingerprint) != 0)
        r = refuse(run, buf_str(&print), e);
    if (r == 0)
        r = link_rootfs(run, e);
    if (r < 0)
        return r;
    id_new(id);
    path_printf(journal, sizeof(journal), "%s/journal.json", run->dir);
    path_printf(dir, sizeof(dir), "%s/templates/%s", run->host->config->data_dir, id);
    unlink(journal);
    if (rename(run->dir, dir) < 0)
        return err_errno(e, -errno, "put the template in place");
    r = template_publish(run->host->images, im, id, buf_str(&here), e);
    if (r < 0)
        dir_remove(dir);
    return r;
}

static int check_fits(struct remote_run *run, const struct image *im, struct err *e)
{
    auto_buf struct buf here = {0}, print = {0};
    struct image copy = *im;
    int r = look(run, &copy, &here, &print, e);
    if (r == 0 && strcmp(buf_str(&print), run->m.fingerprint) != 0)
        r = refuse(run, buf_str(&print), e);
    return r;
}

int remote_pull_template(struct remote_run *run, struct err *e)
{
    struct image_set *s = run->host->images;
    const struct image_ask ask = image_of_language(language_of(run));
    struct image copy;
    char path[PATH_MAX];
    int r = remote_pull_manifest(run, e);
    if (r < 0)
        return r;
    rootfs_path(run, path);
    if (!image_copy(s, &ask, &copy) || access(path, R_OK) < 0)
        return err_set(e, ERR_CONFLICT, "this host has no image %s: pull that first", ask.key);
    r = check_fits(run, &copy, e);
    if (r < 0 || copy.state == LANGUAGE_READY)
        return r;
    r = remote_pull_files(run, e);
    if (r < 0)
        return r;
    struct image *im = image_bring(s, &ask);
    r = im ? place(run, im, e) : err_errno(e, -ENOMEM, "template of %s", run->m.name);
    image_give_back(s, &ask, r == 0);
    return r;
}
