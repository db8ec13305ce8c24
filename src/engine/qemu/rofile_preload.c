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
 * There is no state but the environment, which QEMU does not modify. */

/* Without these two, glibc's headers would rename or wrap the functions that are defined here. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE

#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int __open_2(const char *path, int flags);   /* what fortified callers call */
int __open64_2(const char *path, int flags); /* NOLINT: the names are glibc's */

/* Returns a new descriptor for a listed name, rewound, or -1 when it is not listed. */
static int inherited(const char *path)
{
    const char *list = getenv("HOLM_FILES");
    size_t len = path ? strlen(path) : 0;
    while (list && len) {
        if (strncmp(list, path, len) == 0 && list[len] == '=') {
            int fd = fcntl(atoi(list + len + 1), F_DUPFD_CLOEXEC, 3);
            /* A duplicate shares the offset of the one before. */
            if (fd >= 0)
                (void)lseek(fd, 0, SEEK_SET);
            return fd;
        }
        list = strchr(list, ':');
        list = list ? list + 1 : NULL;
    }
    return -1;
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
