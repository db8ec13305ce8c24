/* SPDX-License-Identifier: Apache-2.0 */

/* The table of all endpoints, and finding a row by path. Paths without parameters are found by
 * hash; the few with parameters are compared one after the other, piece by piece. */

#include "api/route.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/meta.h"
#include "api/native/native.h"
#include "api/nearest.h"
#include "api/rds/rds.h"
#include "api/runner/runner.h"
#include "base/cleanup.h"

DEFINE_AUTO(struct route_table *, route_table_free)

/* The last one is route_add_rows's. */
static const struct route no_rows[] = {{0}};
/* One a line. */
/* clang-format off */
static const struct route *tables[] = {
    runner_routes,
    runner_rootfs_routes,
    native_routes,
    native_vm_routes,
    native_move_routes,
    native_exec_routes,
    native_job_routes,
    native_file_routes,
    native_staging_routes,
    native_snapshot_routes,
    native_console_routes,
    native_key_routes,
    native_account_routes,
    rds_vm_routes,
    rds_log_routes,
    rds_exec_routes,
    rds_run_ts_routes,
    rds_snapshot_routes,
    rds_image_routes,
    native_image_routes,
    native_build_routes,
    native_remote_routes,
    rds_file_routes,
    rds_auth_routes,
    rds_admin_routes,
    rds_event_routes,
    rds_webhook_routes,
    rds_key_routes,
    meta_routes,
    meta_document_routes,
    no_rows,
};
/* clang-format on */

void route_add_rows(const struct route *rows)
{
    tables[ARRAY_SIZE(tables) - 1] = rows;
}

static const struct dialect *dialect_at(size_t index)
{
    for (size_t t = 0; t < ARRAY_SIZE(tables); t++) {
        const struct dialect *d = tables[t]->dialect;
        bool is_new = d != NULL;
        for (size_t before = 0; before < t; before++)
            is_new &= tables[before]->dialect != d;
        if (is_new && index-- == 0)
            return d;
    }
    return NULL;
}

static void make_document_routes(void)
{
    const struct dialect *d;
    for (size_t i = 0; (d = dialect_at(i)); i++)
        meta_add_document(d);
}

const struct route *route_at(size_t index)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_document_routes);
    for (size_t t = 0; t < ARRAY_SIZE(tables); t++) {
        for (const struct route *r = tables[t]; r->path; r++) {
            if (index-- == 0)
                return r;
        }
    }
    return NULL;
}

const char *route_method_name(enum route_method m)
{
    static const char *const names[ROUTE_METHOD_COUNT] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
    return names[m];
}

const struct dialect *route_dialect_at(size_t index)
{
    return dialect_at(index);
}

const struct dialect *route_dialect_find(const char *name)
{
    const struct dialect *d;
    for (size_t i = 0; (d = dialect_at(i)); i++) {
        if (strcmp(d->name, name) == 0)
            return d;
    }
    return NULL;
}

const struct dialect *route_dialect(const char *path)
{
    const struct dialect *best = tables[0]->dialect, *d;
    size_t longest = 0;
    for (size_t i = 0; (d = dialect_at(i)); i++) {
        size_t n = d->prefix ? strlen(d->prefix) : 0;
        if (n > longest && strncmp(path, d->prefix, n) == 0) {
            longest = n;
            best = d;
        }
    }
    return best;
}

/* All methods of one path. */
struct path_rows {
    const char *path;
    struct route_match match;
    bool has_params;
};

struct route_table {
    struct path_rows *rows;
    size_t n_rows;
    struct path_rows **slots; /* open addressing; a power of two, at most half full */
    size_t n_slots;
};

/* FNV-1a: short keys, known beforehand. */
static uint64_t hash(const char *s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    return h ^ h >> 32;
}

static struct path_rows **slot_of(const struct route_table *t, const char *path)
{
    size_t i = hash(path) & (t->n_slots - 1);
    while (t->slots[i] && strcmp(t->slots[i]->path, path) != 0)
        i = (i + 1) & (t->n_slots - 1);
    return &t->slots[i];
}

static struct path_rows *rows_of(struct route_table *t, const char *path)
{
    for (size_t i = 0; i < t->n_rows; i++) {
        if (strcmp(t->rows[i].path, path) == 0)
            return &t->rows[i];
    }
    struct path_rows *p = &t->rows[t->n_rows++];
    *p = (struct path_rows){.path = path, .has_params = strchr(path, '{') != NULL};
    if (!p->has_params)
        *slot_of(t, path) = p;
    return p;
}

int route_table_new(struct route_table **ret)
{
    size_t n = 0;
    while (route_at(n))
        n++;
    CLEANUP(route_table_freep) struct route_table *t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    for (t->n_slots = 1; t->n_slots < 2 * n;)
        t->n_slots *= 2;
    t->rows = calloc(n, sizeof(*t->rows));
    t->slots = calloc(t->n_slots, sizeof(struct path_rows *));
    if (!t->rows || !t->slots)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const struct route *r = route_at(i);
        struct path_rows *p = rows_of(t, r->path);
        p->match.by_method[r->method] = r;
        p->match.index[r->method] = i;
    }
    *ret = TAKE_PTR(t);
    return 0;
}

void route_table_free(struct route_table *t)
{
    if (!t)
        return;
    free(t->rows);
    free(t->slots);
    free(t);
}

/* Compares piece by piece and notes where the parameters are. A parameter is not empty. */
static bool pattern_match(const char *pattern, const char *path, struct route_match *ret)
{
    size_t n_params = 0;
    while (*pattern == '/' && *path == '/') {
        pattern++;
        path++;
        size_t a = strcspn(pattern, "/"), b = strcspn(path, "/");
        if (*pattern == '{') {
            if (!b || n_params == ROUTE_PARAMS_MAX)
                return false;
            ret->params[n_params].start = path;
            ret->params[n_params++].len = b;
        } else if (a != b || memcmp(pattern, path, a) != 0) {
            return false;
        }
        pattern += a;
        path += b;
    }
    return !*pattern && !*path;
}

bool route_find(const struct route_table *t, const char *path, struct route_match *ret)
{
    const struct path_rows *exact = *slot_of(t, path);
    if (exact) {
        *ret = exact->match;
        return true;
    }
    for (size_t i = 0; i < t->n_rows; i++) {
        if (!t->rows[i].has_params)
            continue;
        struct route_match m = t->rows[i].match;
        if (pattern_match(t->rows[i].path, path, &m)) {
            *ret = m;
            return true;
        }
    }
    return false;
}

const struct route *route_nearest(const char *path)
{
    struct nearest near = {.word = path, .best_distance = SIZE_MAX};
    const struct route *r, *best = NULL;
    for (size_t i = 0; (r = route_at(i)); i++) {
        size_t before = near.best_distance;
        nearest_offer(&near, r->path);
        if (near.best_distance < before)
            best = r;
    }
    return near.best ? best : NULL;
}
