/* SPDX-License-Identifier: Apache-2.0 */

/* Where a waiting program stops: the first call that names the file it waits for. It does not
 * matter whether that looks, opens or resolves, since the file is there as soon as the call goes
 * on. All are the C library's own functions under their own names, found before it because this
 * library is preloaded.
 *
 * Beside them what else happens in such a function: V8's seed is noted, Perl is given arguments,
 * and open(), which the hooks that want it use, finds FILE.job. */

/* `open` here is `open`, and `open64` another. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE

#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wait.h"

#undef open64
#undef openat64
#undef fopen64
#undef stat64
#undef lstat64
#undef fstatat64

/* Without the attributes of the headers: here a path may be NULL, as everywhere in the kernel. */
#define TOUCH(path)                               \
    do {                                          \
        if (!wait_is_late() && wait_is_for(path)) \
            wait_hold();                          \
    } while (0)

/* The next definition of `name`, looked up once. */
#define NEXT(name)                                                        \
    ({                                                                    \
        static __typeof__(name) *next_;                                   \
        __typeof__(name) *f_ = __atomic_load_n(&next_, __ATOMIC_RELAXED); \
        if (!f_) {                                                        \
            f_ = (__typeof__(name) *)dlsym(RTLD_NEXT, #name);             \
            __atomic_store_n(&next_, f_, __ATOMIC_RELAXED);               \
        }                                                                 \
        f_;                                                               \
    })

/* The mode that follows the flags of an open, if one does. */
#define MODE(flags)                                             \
    ({                                                          \
        mode_t mode_ = 0;                                       \
        if ((flags) & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) { \
            va_list ap_;                                        \
            va_start(ap_, flags);                               \
            mode_ = (mode_t)va_arg(ap_, unsigned);              \
            va_end(ap_);                                        \
        }                                                       \
        mode_;                                                  \
    })

/* Old programs' names of stat and its like. */
int __xstat(int version, const char *path, struct stat *st);
int __xstat64(int version, const char *path, struct stat64 *st);
int __lxstat(int version, const char *path, struct stat *st);
int __lxstat64(int version, const char *path, struct stat64 *st);
int __fxstatat(int version, int dir, const char *path, struct stat *st, int flags);
int __fxstatat64(int version, int dir, const char *path, struct stat64 *st, int flags);
/* What fortified programs call. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
char *__realpath_chk(const char *path, char *resolved, size_t size);

int open(const char *path, int flags, ...)
{
    mode_t mode = MODE(flags);
    TOUCH(path);
    int told = wait_told(path);
    return told >= 0 ? told : NEXT(open)(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    mode_t mode = MODE(flags);
    TOUCH(path);
    int told = wait_told(path);
    return told >= 0 ? told : NEXT(open64)(path, flags, mode);
}

int __open_2(const char *path, int flags)
{
    TOUCH(path);
    return NEXT(__open_2)(path, flags);
}

int __open64_2(const char *path, int flags)
{
    TOUCH(path);
    return NEXT(__open64_2)(path, flags);
}

int openat(int dir, const char *path, int flags, ...)
{
    mode_t mode = MODE(flags);
    TOUCH(path);
    return NEXT(openat)(dir, path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...)
{
    mode_t mode = MODE(flags);
    TOUCH(path);
    return NEXT(openat64)(dir, path, flags, mode);
}

/* The streams that matter: V8 reads its seed from the one, R its program from the other. */
static FILE *urandom, *program;

static FILE *opened(const char *path, FILE *f)
{
    if (f && strcmp(path, "/dev/urandom") == 0)
        __atomic_store_n(&urandom, f, __ATOMIC_RELAXED);
    else if (f && wait_is_late() && wait_is_for(path))
        program = f;
    return f;
}

FILE *fopen(const char *restrict path, const char *restrict mode)
{
    TOUCH(path);
    return opened(path, NEXT(fopen)(path, mode));
}

FILE *fopen64(const char *restrict path, const char *restrict mode)
{
    TOUCH(path);
    return opened(path, NEXT(fopen64)(path, mode));
}

size_t fread(void *restrict data, size_t size, size_t n, FILE *restrict f)
{
    size_t got = NEXT(fread)(data, size, n, f);
    if (got == 1 && size == sizeof(uint64_t) && f == __atomic_load_n(&urandom, __ATOMIC_RELAXED))
        wait_v8_seed(data);
    return got;
}

ssize_t read(int fd, void *data, size_t len)
{
    wait_perl_reads();
    return NEXT(read)(fd, data, len);
}

char *fgets(char *restrict line, int size, FILE *restrict f)
{
    if (f == program && f) {
        program = NULL;
        wait_hold();
    }
    return NEXT(fgets)(line, size, f);
}

int stat(const char *restrict path, struct stat *restrict st)
{
    TOUCH(path);
    return NEXT(stat)(path, st);
}

int stat64(const char *restrict path, struct stat64 *restrict st)
{
    TOUCH(path);
    return NEXT(stat64)(path, st);
}

int lstat(const char *restrict path, struct stat *restrict st)
{
    TOUCH(path);
    return NEXT(lstat)(path, st);
}

int lstat64(const char *restrict path, struct stat64 *restrict st)
{
    TOUCH(path);
    return NEXT(lstat64)(path, st);
}

int fstatat(int dir, const char *restrict path, struct stat *restrict st, int flags)
{
    TOUCH(path);
    return NEXT(fstatat)(dir, path, st, flags);
}

int fstatat64(int dir, const char *restrict path, struct stat64 *restrict st, int flags)
{
    TOUCH(path);
    return NEXT(fstatat64)(dir, path, st, flags);
}

int __xstat(int version, const char *path, struct stat *st)
{
    TOUCH(path);
    return NEXT(__xstat)(version, path, st);
}

int __xstat64(int version, const char *path, struct stat64 *st)
{
    TOUCH(path);
    return NEXT(__xstat64)(version, path, st);
}

int __lxstat(int version, const char *path, struct stat *st)
{
    TOUCH(path);
    return NEXT(__lxstat)(version, path, st);
}

int __lxstat64(int version, const char *path, struct stat64 *st)
{
    TOUCH(path);
    return NEXT(__lxstat64)(version, path, st);
}

int __fxstatat(int version, int dir, const char *path, struct stat *st, int flags)
{
    TOUCH(path);
    return NEXT(__fxstatat)(version, dir, path, st, flags);
}

int __fxstatat64(int version, int dir, const char *path, struct stat64 *st, int flags)
{
    TOUCH(path);
    return NEXT(__fxstatat64)(version, dir, path, st, flags);
}

int statx(int dir, const char *restrict path, int flags, unsigned mask, struct statx *restrict st)
{
    TOUCH(path);
    return NEXT(statx)(dir, path, flags, mask, st);
}

int access(const char *path, int how)
{
    TOUCH(path);
    return NEXT(access)(path, how);
}

int faccessat(int dir, const char *path, int how, int flags)
{
    TOUCH(path);
    return NEXT(faccessat)(dir, path, how, flags);
}

ssize_t readlink(const char *restrict path, char *restrict target, size_t size)
{
    TOUCH(path);
    return NEXT(readlink)(path, target, size);
}

char *realpath(const char *restrict path, char *restrict resolved)
{
    TOUCH(path);
    return NEXT(realpath)(path, resolved);
}

char *__realpath_chk(const char *path, char *resolved, size_t size)
{
    TOUCH(path);
    return NEXT(__realpath_chk)(path, resolved, size);
}
