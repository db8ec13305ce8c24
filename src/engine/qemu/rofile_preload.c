/* SPDX-License-Identifier: Apache-2.0 */

/* Preloaded into the monitor: opening certain names yields descriptors that were inherited.
 *
 * Why: QEMU opens the memory backend's file by name and for writing (O_RDWR), although with
 * share=off it maps it privately and never writes to it. The name would have to exist in the jail,
 * and the VM's own uid would need write permission on a template that all its siblings share. So
 * the host opens the file itself, read-only, and this library hands that descriptor out in the
 * place of the open(); a private writable mapping of a read-only descriptor is legal, and a monitor
 * that was broken into holds nothing it could write the template through. The same serves the
 * kernel and initramfs at boot and /dev/kvm, none of which then has to exist in the jail.
 *
 * HOLM_FILES="/holm/memory=7:/dev/kvm=8" lists them: exactly these names, nothing else changes.
 * There is no state but the environment, which QEMU does not modify.
 *
 * A template may hold its memory in two files: one that it shares with others, and one with the
 * pages that are different. QEMU knows of one only. So when it maps that one, and there is a
 * /holm/delta, the extents that /holm/extents lists are mapped over it at once. */

/* Without these two, glibc's headers would rename or wrap the functions that are defined here. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/qemu/extents.h"

#define MEMORY_NAME "/holm/memory"
#define DELTA_NAME "/holm/delta"
#define EXTENTS_NAME "/holm/extents"

int __open_2(const char *path, int flags);   /* what fortified callers call */
int __open64_2(const char *path, int flags); /* NOLINT: the names are glibc's */

/* The inherited descriptor of a listed name, -1 when it is not listed. */
static int listed(const char *path)
{
    const char *list = getenv("HOLM_FILES");
    size_t len = path ? strlen(path) : 0;
    while (list && len) {
        if (strncmp(list, path, len) == 0 && list[len] == '=')
            return atoi(list + len + 1);
        list = strchr(list, ':');
        list = list ? list + 1 : NULL;
    }
    return -1;
}

/* Returns a new descriptor for a listed name, rewound, or -1 when it is not listed. */
static int inherited(const char *path)
{
    int number = listed(path);
    int fd = number < 0 ? -1 : fcntl(number, F_DUPFD_CLOEXEC, 3);
    /* A duplicate shares the offset of the one before. */
    if (fd >= 0)
        (void)lseek(fd, 0, SEEK_SET);
    return fd;
}

static int open_real(const char *path, int flags, mode_t mode)
{
    int fd = inherited(path);
    /* openat is the very system call that open makes. */
    return fd >= 0 ? fd : openat(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

int open(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    return open_real(path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));

int __open_2(const char *path, int flags)
{
    return open_real(path, flags, 0);
}

int __open64_2(const char *path, int flags)
{
    return open_real(path, flags, 0);
}

FILE *fopen(const char *path, const char *mode)
{
    static FILE *(*real)(const char *, const char *);
    int fd = inherited(path);
    if (fd >= 0)
        return fdopen(fd, mode);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "fopen64");
    return real ? real(path, mode) : NULL;
}

FILE *fopen64(const char *path, const char *mode) __attribute__((alias("fopen")));

/* --- memory in two files --- */

static int is_memory(int fd)
{
    struct stat asked, memory;
    int number = fd < 0 ? -1 : listed(MEMORY_NAME);
    return number >= 0 && fstat(fd, &asked) == 0 && fstat(number, &memory) == 0 &&
           asked.st_dev == memory.st_dev && asked.st_ino == memory.st_ino;
}

/* Maps the extents over memory that has been mapped at `at`. */
static int map_delta(char *at, size_t len, int prot, int flags)
{
    static struct extent v[EXTENTS_MAX];
    int delta = listed(DELTA_NAME);
    ssize_t got = delta < 0 ? 0 : pread(listed(EXTENTS_NAME), v, sizeof(v), 0);
    if (got < 0 || got % (ssize_t)sizeof(*v) != 0 ||
        !extents_valid(v, (size_t)got / sizeof(*v), len / EXTENTS_PAGE_BYTES))
        return -1;
    for (size_t i = 0; i < (size_t)got / sizeof(*v); i++) {
        off64_t offset = (off64_t)v[i].page * EXTENTS_PAGE_BYTES;
        size_t bytes = (size_t)v[i].pages * EXTENTS_PAGE_BYTES;
        if (syscall(SYS_mmap, at + offset, bytes, prot, flags | MAP_FIXED, delta, offset) == -1)
            return -1;
    }
    return 0;
}

void *mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
    void *p = (void *)syscall(SYS_mmap, at, len, prot, flags, fd, offset);
    if (p == MAP_FAILED || !is_memory(fd) || map_delta(p, len, prot, flags) == 0)
        return p;
    (void)munmap(p, len);
    errno = EINVAL;
    return MAP_FAILED;
}

void *mmap64(void *at, size_t len, int prot, int flags, int fd, off64_t offset)
    __attribute__((alias("mmap")));
