/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/qemu/test_guest.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/test.h"

#define SILENCE_MS 60000

/* Commands come as "TOKEN COMMAND"; the token in the answer's last line tells that it is the answer
 * to this very command, whatever a former session left in the port. After a hang-up read fails
 * until someone connects again. */
static const char init_script[] =
    "#!/bin/busybox sh\n"
    "B=/bin/busybox\n"
    "$B mount -t proc proc /proc; $B mount -t sysfs sys /sys; $B mount -t devtmpfs dev /dev\n"
    "for m in /lib/*.ko; do $B insmod $m; done\n"
    "for p in /sys/class/virtio-ports/*; do\n"
    "  [ \"$($B cat $p/name)\" = org.holm.agent ] && port=/dev/${p##*/}\n"
    "done\n"
    "while ! exec 3<>$port; do $B usleep 10000; done\n"
    "while :; do\n"
    "  while read -r token line <&3; do\n"
    "    $B sh -c \"$line\" >&3 2>&1\n"
    "    echo \"DONE $token\" >&3\n"
    "  done\n"
    "  $B usleep 20000\n"
    "done\n";

/* Appends one member of a "newc" cpio archive. */
static void add_member(struct buf *b, const char *name, mode_t mode, const char *data, size_t len)
{
    static int inode = 1;
    buf_printf(b, "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x", inode++, mode, 0,
               0, 1, 0, len, 0, 0, 0, 0, strlen(name) + 1, 0);
    buf_append(b, name, strlen(name) + 1);
    buf_append(b, "\0\0\0", -b->len & 3);
    buf_append(b, data, len);
    buf_append(b, "\0\0\0", -b->len & 3);
}

static bool add_file(struct buf *b, const char *name, const char *path)
{
    auto_buf struct buf content = {0};
    if (file_read(path, &content, 64 << 20) < 0)
        return false;
    add_member(b, name, S_IFREG | 0755, content.data, content.len);
    return true;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool add_modules(struct buf *b, const char *dir)
{
    struct dirent **list = NULL;
    bool ok = true;
    int n = scandir(dir, &list, NULL, by_name);
    for (int i = 0; i < n; i++) {
        char path[512], name[300];
        snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name);
        snprintf(name, sizeof(name), "lib/%s", list[i]->d_name);
        if (strstr(name, ".ko"))
            ok = add_file(b, name, path) && ok;
        free(list[i]);
    }
    free(list);
    return n > 2 && ok;
}

bool test_guest_make(const char *dir, struct test_guest *ret)
{
    static const char *const dirs[] = {"proc", "sys", "dev", "lib", "bin", "tmp"};
    const char *kernel_dir = getenv("HOLM_KERNEL_DIR");
    kernel_dir = kernel_dir ? kernel_dir : "/var/lib/holm/kernel";
    char modules[256];
    snprintf(ret->kernel, sizeof(ret->kernel), "%s/vmlinuz", kernel_dir);
    snprintf(modules, sizeof(modules), "%s/modules", kernel_dir);
    snprintf(ret->initrd, sizeof(ret->initrd), "%s/initrd", dir);
    snprintf(ret->rootfs, sizeof(ret->rootfs), "%s/rootfs", dir);
    auto_buf struct buf cpio = {0};
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
        add_member(&cpio, dirs[i], S_IFDIR | 0755, "", 0);
    add_member(&cpio, "init", S_IFREG | 0755, init_script, strlen(init_script));
    if (access(ret->kernel, R_OK) < 0 || !add_modules(&cpio, modules) ||
        !add_file(&cpio, "bin/busybox", "/bin/busybox")) {
        printf("no kernel and modules in %s, or no /bin/busybox\n", kernel_dir);
        return false;
    }
    add_member(&cpio, "TRAILER!!!", 0, "", 0);
    assert_int_equal(file_write_atomic(ret->initrd, cpio.data, cpio.len, 0600), 0);
    auto_close int fd = open(ret->rootfs, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, TEST_GUEST_DISK_BYTES), 0);
    return pwrite(fd, "pristine\n", 9, 0) == 9;
}

const char *test_guest_run(int fd, const char *command, struct buf *out)
{
    static int count;
    char line[1024], end[64];
    int n = snprintf(line, sizeof(line), "t%d %s\n", ++count, command);
    snprintf(end, sizeof(end), "DONE t%d\n", count);
    assert_int_equal(fd_write_all(fd, line, (size_t)n), 0);
    buf_clear(out);
    for (char *at; !(at = strstr(buf_str(out), end));) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, SILENCE_MS) != 1)
            fail_msg("the guest does not answer \"%s\", only: %s", command, buf_str(out));
        char *room = buf_reserve(out, 4096);
        ssize_t got = recv(fd, room, 4096, 0);
        if (got <= 0)
            fail_msg("the guest hung up during \"%s\": %s", command, buf_str(out));
        out->len += (size_t)got;
        out->data[out->len] = '\0';
    }
    *strstr(out->data, end) = '\0';
    return out->data;
}
