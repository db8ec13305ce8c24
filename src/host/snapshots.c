/* SPDX-License-Identifier: Apache-2.0 */
#include "host/snapshots.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "host/accounts.h"
#include "host/activity.h"
#include "host/vms_priv.h"

#define CAN_SNAPSHOT (1u << VM_RUNNING | 1u << VM_PAUSED)

struct entry {
    struct entry *next;
    struct snapshot_info info;
    bool busy; /* somebody makes, renames or removes it: nobody else does, and it stays in place */
};

struct snapshots {
    struct host *host;
    pthread_mutex_t lock;   /* guards the list and what is in it */
    pthread_cond_t changed; /* one is not busy any more, or gone */
    struct entry *first, **end;
};

void snapshot_info_done(struct snapshot_info *s)
{
    json_decref(s->metadata);
    json_decref(s->env);
    json_decref(s->firewall);
    *s = (struct snapshot_info){0};
}

void snapshot_list_done(struct snapshot_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        snapshot_info_done(&l->items[i]);
    free(l->items);
    *l = (struct snapshot_list){0};
}

static void copy_info(const struct snapshot_info *from, struct snapshot_info *ret)
{
    *ret = *from;
    json_incref(ret->metadata);
    json_incref(ret->env);
    json_incref(ret->firewall);
}

static const struct quota one = {.snapshots = 1};

/* --- the list; lock held --- */

static struct entry *find(struct snapshots *s, const char *account, const char *id)
{
    for (struct entry *en = s->first; en; en = en->next) {
        if (strcmp(en->info.id, id) == 0)
            return !account || strcmp(en->info.account, account) == 0 ? en : NULL;
    }
    return NULL;
}

static int no_such(struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "there is no such snapshot");
}

/* The account's, ours alone until `let_go` or `drop`. Lock taken. */
static int hold(struct snapshots *s, const char *account, const char *id, struct entry **ret,
                struct err *e)
{
    AUTO_LOCK(&s->lock);
    struct entry *en = find(s, account, id);
    if (en && en->info.state == SNAPSHOT_CREATING)
        return err_set(e, ERR_CONFLICT, "the snapshot is still being made");
    while (en && en->busy) {
        pthread_cond_wait(&s->changed, &s->lock);
        en = find(s, account, id);
    }
    if (!en)
        return no_such(e);
    en->busy = true;
    *ret = en;
    return 0;
}

/* With what is new about it (its JSON is the entry's own; NULL: nothing), which is copied out. */
static void let_go(struct snapshots *s, struct entry *en, const struct snapshot_info *next,
                   struct snapshot_info *ret)
{
    AUTO_LOCK(&s->lock);
    if (next)
        en->info = *next;
    en->busy = false;
    if (ret)
        copy_info(&en->info, ret);
    pthread_cond_broadcast(&s->changed);
}

static void append(struct snapshots *s, struct entry *en)
{
    *s->end = en;
    s->end = &en->next;
}

static struct entry *unlink_entry(struct snapshots *s, struct entry *en)
{
    struct entry **p = &s->first;
    while (*p != en)
        p = &(*p)->next;
    *p = en->next;
    if (s->end == &en->next)
        s->end = p;
    return en;
}

static void free_entry(struct entry *en)
{
    snapshot_info_done(&en->info);
    free(en);
}

static void note(struct snapshots *s, const char *type, const struct snapshot_info *info)
{
    json_t *data = json_pack("{s:s}", "vm", info->vm);
    const struct activity_note n = {.account = info->account,
                                    .type = type,
                                    .entity = info->id,
                                    .name = info->name,
                                    .data = data};
    host_note(s->host, &n);
    json_decref(data);
}

/* --- looking --- */

int host_snapshot_get(struct host *h, const char *account, const char *id,
                      struct snapshot_info *ret, struct err *e)
{
    struct snapshots *s = h->snapshots;
    AUTO_LOCK(&s->lock);
    const struct entry *en = find(s, account, id);
    if (!en)
        return no_such(e);
    if (ret)
        copy_info(&en->info, ret);
    return 0;
}

int host_snapshot_list(struct host *h, const char *account, struct snapshot_list *ret,
                       struct err *e)
{
    struct snapshots *s = h->snapshots;
    AUTO_LOCK(&s->lock);
    size_t n = 0;
    for (struct entry *en = s->first; en; en = en->next)
        n += strcmp(en->info.account, account) == 0;
    struct snapshot_list list = {.items = calloc(n + 1, sizeof(*list.items))};
    if (!list.items)
        return err_errno(e, -ENOMEM, "list snapshots");
    for (struct entry *en = s->first; en; en = en->next) {
        if (strcmp(en->info.account, account) == 0)
            copy_info(&en->info, &list.items[list.n++]);
    }
    *ret = list;
    return 0;
}

int snapshots_count(struct snapshots *s, const char *account)
{
    int n = 0;
    AUTO_LOCK(&s->lock);
    for (const struct entry *en = s->first; en; en = en->next)
        n += !account || strcmp(en->info.account, account) == 0;
    return n;
}

size_t snapshots_of_image(struct snapshots *s, const char *key)
{
    AUTO_LOCK(&s->lock);
    size_t n = 0;
    for (const struct entry *en = s->first; en; en = en->next)
        n += strcmp(en->info.image, key) == 0;
    return n;
}

int snapshots_source(struct snapshots *s, const char *id, char *ret_dir, int64_t *ret_disk_bytes,
                     struct err *e)
{
    AUTO_LOCK(&s->lock);
    const struct entry *en = find(s, NULL, id);
    if (!en || en->info.state != SNAPSHOT_READY)
        return err_set(e, ERR_NOT_FOUND, "its snapshot is not there any more");
    instance_path(s->host, "snapshots", id, ret_dir);
    *ret_disk_bytes = en->info.disk_bytes;
    return 0;
}

/* --- making --- */

static int add_entry(struct snapshots *s, struct instance *inst, const char *name,
                     struct entry **ret, struct err *e)
{
    struct entry *en = calloc(1, sizeof(*en));
    if (!en)
        return err_errno(e, -ENOMEM, "snapshot");
    struct vm_info v;
    instance_get_info(s->host->instances, inst, &v);
    struct snapshot_info *i = &en->info;
    id_new(i->id);
    memcpy(i->account, v.account, sizeof(i->account));
    memcpy(i->vm, v.id, sizeof(i->vm));
    host_clean_name(name ? name : "", i->name);
    if (!*i->name)
        path_printf(i->name, sizeof(i->name), "snapshot-%.8s", v.id);
    i->state = SNAPSHOT_CREATING;
    en->busy = true;
    memcpy(i->image, v.image, sizeof(i->image));
    memcpy(i->machine_type, v.machine_type, sizeof(i->machine_type));
    i->shape = v.shape;
    i->disk_bytes = v.disk_bytes;
    i->metadata = v.metadata; /* v's references become the entry's */
    i->env = v.env;
    i->firewall = v.firewall;
    i->created_ns = clock_real_ns();
    int r = accounts_charge(s->host->accounts, i->account, &one, e);
    if (r == 0) {
        r = store_snapshot_put(s->host->store, i, e);
        if (r < 0)
            accounts_release(s->host->accounts, i->account, &one);
    }
    if (r < 0) {
        free_entry(en);
        return r;
    }
    AUTO_LOCK(&s->lock);
    append(s, en);
    *ret = en;
    return 0;
}

/* Record last: what has none is removed at the next start. */
static void drop(struct snapshots *s, struct entry *en)
{
    struct err e = ERR_INIT;
    {
        AUTO_LOCK(&s->lock);
        unlink_entry(s, en);
        pthread_cond_broadcast(&s->changed);
    }
    instance_drop_dir(s->host, "snapshots", en->info.id);
    if (store_snapshot_delete(s->host->store, en->info.id, &e) < 0)
        log_error("snapshots", "snapshot=%s record cannot be removed: %s", en->info.id, e.text);
    accounts_release(s->host->accounts, en->info.account, &one);
    free_entry(en);
}

static int fill(struct snapshots *s, struct entry *en, struct instance *inst,
                struct snapshot_info *ret, struct err *e)
{
    char dir[PATH_MAX / 4];
    struct capture_times times = {0};
    instance_path(s->host, "snapshots", en->info.id, dir);
    int r = vms_capture(s->host->instances, inst, dir, CAPTURE_DURABLE, &times, e);
    if (r < 0)
        return r;
    struct snapshot_info next = en->info;
    next.state = SNAPSHOT_READY;
    next.pause_us = times.pause_us;
    next.size_bytes = dir_bytes(dir, 2);
    r = store_snapshot_put(s->host->store, &next, e);
    if (r < 0)
        return r;
    note(s, "snapshot.created", &next);
    let_go(s, en, &next, ret);
    return 0;
}

int host_snapshot_create(struct host *h, const char *account, const char *vm, const char *name,
                         struct snapshot_info *ret, struct err *e)
{
    struct instances *set = h->instances;
    struct instance *inst = NULL;
    struct entry *en = NULL;
    int r = instance_find(set, account, vm, &inst, e);
    if (r < 0)
        return r;
    r = instance_hold(set, inst, CAN_SNAPSHOT, "be snapshotted", e);
    if (r == 0) {
        r = add_entry(h->snapshots, inst, name, &en, e);
        if (r == 0)
            r = fill(h->snapshots, en, inst, ret, e);
        if (r < 0 && en)
            drop(h->snapshots, en);
        instance_let_go(set, inst);
    }
    instance_unref(set, inst);
    return r;
}

/* --- changing --- */

int host_snapshot_rename(struct host *h, const char *account, const char *id, const char *name,
                         struct snapshot_info *ret, struct err *e)
{
    struct snapshots *s = h->snapshots;
    struct entry *en = NULL;
    char clean[VM_NAME_SIZE];
    host_clean_name(name, clean);
    if (!*clean)
        return err_field(e, "name", "the name must not be empty");
    int r = hold(s, account, id, &en, e);
    if (r < 0)
        return r;
    struct snapshot_info next = en->info;
    memcpy(next.name, clean, sizeof(next.name));
    r = store_snapshot_put(h->store, &next, e);
    if (r == 0)
        note(s, "snapshot.renamed", &next);
    let_go(s, en, r < 0 ? NULL : &next, r < 0 ? NULL : ret);
    return r;
}

/* A launch that waits in the queue needs its snapshot. */
static bool is_awaited(struct instances *s, const char *id)
{
    AUTO_LOCK(&s->lock);
    for (struct instance *i = s->first; i; i = i->next) {
        if (i->record.info.state == VM_STARTING && i->record.origin == ORIGIN_SNAPSHOT &&
            strcmp(i->record.info.snapshot, id) == 0)
            return true;
    }
    return false;
}

/* From the list's view it is being made again. A launch looks at the state after it is in the list
 * of VMs, so that either it sees this or is seen. */
static void set_state(struct snapshots *s, struct entry *en, enum snapshot_state state)
{
    AUTO_LOCK(&s->lock);
    en->info.state = state;
}

int host_snapshot_delete(struct host *h, const char *account, const char *id, struct err *e)
{
    struct snapshots *s = h->snapshots;
    struct entry *en = NULL;
    int r = hold(s, account, id, &en, e);
    if (r < 0)
        return r;
    set_state(s, en, SNAPSHOT_CREATING);
    if (is_awaited(h->instances, id))
        r = err_set(e, ERR_CONFLICT, "a vm is just being launched from this snapshot");
    if (r == 0)
        r = store_snapshot_put(h->store, &en->info, e);
    if (r < 0) {
        set_state(s, en, SNAPSHOT_READY);
        let_go(s, en, NULL, NULL);
        return r;
    }
    note(s, "snapshot.deleted", &en->info);
    drop(s, en);
    return 0;
}

/* --- the beginning --- */

static int load_one(void *arg, const void *row)
{
    struct snapshots *s = arg;
    struct entry *en = calloc(1, sizeof(*en));
    if (!en)
        return -ENOMEM;
    en->info = *(const struct snapshot_info *)row;
    append(s, en);
    accounts_count(s->host->accounts, en->info.account, &one);
    return 0;
}

/* Neither half made nor half removed ones. */
static void drop_unfinished(struct snapshots *s)
{
    for (struct entry *en = s->first, *next; en; en = next) {
        next = en->next;
        if (en->info.state == SNAPSHOT_CREATING)
            drop(s, en);
    }
}

static void drop_orphans(struct snapshots *s)
{
    char top[PATH_MAX / 4];
    path_printf(top, sizeof(top), "%s/snapshots", s->host->config->data_dir);
    auto_closedir DIR *d = opendir(top);
    for (struct dirent *de; d && (de = readdir(d));) {
        if (de->d_name[0] == '.' || find(s, NULL, de->d_name))
            continue;
        instance_drop_dir(s->host, "snapshots", de->d_name);
    }
}

int snapshots_new(struct host *h, struct snapshots **ret, struct err *e)
{
    struct snapshots *s = calloc(1, sizeof(*s));
    if (!s)
        return err_errno(e, -ENOMEM, "snapshots");
    s->host = h;
    s->end = &s->first;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    int r = store_snapshots_each(h->store, load_one, s, e);
    if (r < 0) {
        snapshots_free(s);
        return r;
    }
    drop_unfinished(s);
    drop_orphans(s);
    *ret = s;
    return 0;
}

void snapshots_free(struct snapshots *s)
{
    if (!s)
        return;
    while (s->first)
        free_entry(unlink_entry(s, s->first));
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
