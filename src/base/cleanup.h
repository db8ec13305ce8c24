/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Scope-bound ownership. A local that owns something is declared with one of these and initialised
 * on the same line; leaving the scope by any path releases it. TAKE_PTR and TAKE_FD hand it over
 * and disarm the cleanup. */

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* DEFINE_AUTO(struct foo *, foo_free) makes CLEANUP(foo_freep) usable on a `struct foo *`; fn must
 * accept NULL. */
#define DEFINE_AUTO(type, fn)         \
    static inline void fn##p(type *p) \
    {                                 \
        fn(*p);                       \
    }

static inline void cleanup_free(void *p)
{
    free(*(void **)p);
}

/* Keeps errno, so that `return -errno` after a failing call stays right. */
static inline void cleanup_close(int *fd)
{
    if (*fd >= 0) {
        int saved = errno;
        close(*fd);
        errno = saved;
    }
}

static inline void cleanup_fclose(FILE **f)
{
    if (*f)
        fclose(*f);
}

static inline void cleanup_closedir(DIR **d)
{
    if (*d)
        closedir(*d);
}

static inline void cleanup_unlock(pthread_mutex_t **m)
{
    if (*m)
        pthread_mutex_unlock(*m);
}

static inline pthread_mutex_t *cleanup_lock(pthread_mutex_t *m)
{
    pthread_mutex_lock(m);
    return m;
}

#define auto_free CLEANUP(cleanup_free)
#define auto_close CLEANUP(cleanup_close)
#define auto_fclose CLEANUP(cleanup_fclose)
#define auto_closedir CLEANUP(cleanup_closedir)

#define CLEANUP_CAT2(a, b) a##b
#define CLEANUP_CAT(a, b) CLEANUP_CAT2(a, b)

/* Holds mutex `m` until the end of the enclosing block. */
#define AUTO_LOCK(m)        \
    CLEANUP(cleanup_unlock) \
    pthread_mutex_t *CLEANUP_CAT(lock_, __LINE__) __attribute__((unused)) = cleanup_lock(m)

#define TAKE_PTR(p)                        \
    ({                                     \
        __typeof__(p) *take_pp_ = &(p);    \
        __typeof__(p) take_p_ = *take_pp_; \
        *take_pp_ = NULL;                  \
        take_p_;                           \
    })

#define TAKE_FD(fd)              \
    ({                           \
        int *take_fd_ = &(fd);   \
        int take_v_ = *take_fd_; \
        *take_fd_ = -EBADF;      \
        take_v_;                 \
    })

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
