/* SPDX-License-Identifier: Apache-2.0 */
#include "host/vm_kernel.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/cpio.h"
#include "host/host_priv.h"
#include "host/image_rows.h"

static const char *const files[] = {"vmlinuz", "modules.cpio"};

static int join(const char *dir, const char *name, char ret[PATH_MAX])
{
    return path_printf(ret, PATH_MAX, "%s/%s", dir, name);
}

void vm_kernel_carry(const char *from, const char *to)
{
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        char a[PATH_MAX], b[PATH_MAX];
        if (join(from, files[i], a) < 0 || join(to, files[i], b) < 0 ||
            (link(a, b) < 0 && errno != ENOENT && errno != EEXIST))
            log_warn("vm", "%s of %s cannot be linked into %s: %m", files[i], from, to);
    }
}

/* The directories that the agent mounts on, and the agent. */
static int add_agent(struct buf *archive, const char *base, struct err *e)
{
    static const char *const dirs[] = {"dev", "modules", "newroot", "proc", "sys"};
    auto_buf struct buf own = {0};
    const void *agent;
    size_t len;
    int r = file_read(base, &own, INITRD_MAX_BYTES);
    if (r < 0)
        return err_errno(e, r, "read Holm's initramfs");
    if (!cpio_find(buf_str(&own), own.len, "init", &agent, &len))
        return err_set(e, ERR_INTERNAL,
                       "there is no agent in Holm's initramfs: make it anew with images/initramfs");
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(dirs); i++)
        r = cpio_add(archive, dirs[i], 0755, NULL, 0);
    if (r == 0)
        r = cpio_add(archive, "init", 0755, agent, len);
    if (r == 0)
        r = cpio_end(archive);
    return r < 0 ? err_errno(e, r, "make an initramfs") : 0;
}

static int make_initrd(struct host *h, const char *modules, const char *to, struct err *e)
{
    char base[PATH_MAX];
    auto_buf struct buf archive = {0};
    path_printf(base, sizeof(base), "%s/kernel/initrd.img", h->config->data_dir);
    int r = add_agent(&archive, base, e);
    if (r < 0)
        return r;
    r = file_read(modules, &archive, archive.len + IMAGE_MODULES_MAX_BYTES);
    if (r == -ENOENT)
        r = 0;
    if (r == 0)
        r = file_write_atomic(to, buf_str(&archive), archive.len, 0400);
    return r < 0 ? err_errno(e, r, "make the VM's initramfs") : 0;
}

int vm_kernel_find(struct host *h, const char *image, const char *dir, struct vm_kernel *ret,
                   struct err *e)
{
    char path[PATH_MAX], modules[PATH_MAX];
    ret->made[0] = '\0';
    int r = join(dir, "vmlinuz", path);
    if (r == 0 && access(path, F_OK) < 0 && image_rows_has(h->image_rows, image)) {
        image_path(h, image, "", path);
        vm_kernel_carry(path, dir);
        r = join(dir, "vmlinuz", path);
    }
    if (r == 0 && access(path, F_OK) < 0) {
        r = path_printf(ret->kernel, sizeof(ret->kernel), "%s/kernel/vmlinuz", h->config->data_dir);
        if (r == 0)
            r = path_printf(ret->initrd, sizeof(ret->initrd), "%s/kernel/initrd.img",
                            h->config->data_dir);
    } else if (r == 0) {
        strcpy(ret->kernel, path);
        r = join(dir, "initrd.img", ret->made);
        if (r == 0)
            r = join(dir, "modules.cpio", modules);
        if (r < 0)
            return err_errno(e, r, "name the VM's files");
        strcpy(ret->initrd, ret->made);
        return make_initrd(h, modules, ret->made, e);
    }
    return r < 0 ? err_set(e, ERR_INTERNAL, "data_dir is too long") : 0;
}

void vm_kernel_done(struct vm_kernel *k)
{
    if (k->made[0])
        unlink(k->made);
}
