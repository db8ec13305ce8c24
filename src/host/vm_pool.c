/* SPDX-License-Identifier: Apache-2.0 */
#include "host/vm_pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "host/host_priv.h"
#include "host/net.h"
#include "host/vms.h"

#define REST_FULL_MS 1000
#define REST_FAILED_MS 10000
#define REHEARSALS 3

struct vm_pool {
    struct host *host;
    int target;                /* constant */
    struct net_policy *closed; /* constant */
    pthread_mutex_t lock;      /* guards the rest */
    pthread_cond_t changed;
    struct vm *first;
    int count;
    atomic_bool stopping; /* also read without it */
    pthread_t thread;
    bool has_thread;
};

static int make_closed_policy(struct vm_pool *p, struct err *e)
{
    json_t *json = json_pack("{s:{s:s, s:[]}, s:{s:s, s:[]}}", "ingress", "default", "deny",
                             "rules", "egress", "default", "deny", "rules");
    int r = json ? net_policy_parse(json, &p->closed, e) : err_errno(e, -ENOMEM, "pool");
    json_decref(json);
    return r;
}

int vm_pool_new(struct host *h, struct vm_pool **ret, struct err *e)
{
    struct vm_pool *p = calloc(1, sizeof(*p));
    if (!p)
        return err_errno(e, -ENOMEM, "pool");
    p->host = h;
    p->target = h->config->vm_pool;
    pthread_mutex_init(&p->lock, NULL);
    link_cond_init(&p->changed);
    int r = make_closed_policy(p, e);
    if (r < 0) {
        vm_pool_free(p);
        return r;
    }
    *ret = p;
    return 0;
}

void vm_pool_free(struct vm_pool *p)
{
    if (!p)
        return;
    net_policy_free(p->closed);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

/* --- filling --- */

/* What a launch will ask of the guest, asked before: an emulated CPU has then translated it. */
static int rehearse(struct vm_pool *p, struct vm *vm, const struct guest_identity *who,
                    struct err *e)
{
    int64_t patience_ms = p->host->config->restore_timeout_s * 1000;
    int r = 0;
    for (int i = 0; r == 0 && i < REHEARSALS && !p->stopping; i++) {
        struct link_wait w = {.deadline_ms = clock_mono_ms() + patience_ms};
        r = guest_restored(vm->link, &w, who, NULL, e);
    }
    return r;
}

static int start_one(struct vm_pool *p, struct vm **ret, struct err *e)
{
    struct host *h = p->host;
    char id[ID_SIZE];
    const struct machine_type *type = &h->config->machine_types[0];
    struct image_use use;
    int r = image_ready(h->images, &(struct image_ask){h->config->vm_image, &type->shape, NULL},
                        &use, e);
    if (r < 0)
        return r;
    id_new(id);
    struct vm_plan plan = {
        .id = id,
        .image = use.key,
        .shape = type->shape,
        .template_dir = use.template_dir,
        .policy = p->closed,
        .who = {.id = id, .hostname = "vm", .keep = true},
        .lives = true,
        .timeout_s = h->config->restore_timeout_s,
    };
    struct vm *vm = NULL;
    r = vm_start(h, &plan, &vm, e);
    image_release(h->images, &use);
    if (r == 0)
        r = rehearse(p, vm, &plan.who, e);
    if (r == 0)
        *ret = vm;
    else if (vm)
        vm_end(h, vm);
    return r;
}

static void push(struct vm_pool *p, struct vm *vm)
{
    vm->next = p->first;
    p->first = vm;
    p->count++;
}

static struct vm *pop(struct vm_pool *p)
{
    struct vm *vm = p->first;
    if (vm) {
        p->first = vm->next;
        vm->next = NULL;
        p->count--;
        pthread_cond_signal(&p->changed);
    }
    return vm;
}

/* Lock held before and after. */
static int64_t fill_one(struct vm_pool *p)
{
    struct err e = ERR_INIT;
    struct vm *vm = NULL;
    pthread_mutex_unlock(&p->lock);
    int r = start_one(p, &vm, &e);
    pthread_mutex_lock(&p->lock);
    if (r == 0) {
        push(p, vm);
        return 0;
    }
    if (e.class != ERR_FULL && !p->stopping)
        log_warn("vm_pool", "image=%s: %s", p->host->config->vm_image, e.text);
    return clock_mono_ms() + (e.class == ERR_FULL ? REST_FULL_MS : REST_FAILED_MS);
}

static void *filler(void *arg)
{
    struct vm_pool *p = arg;
    int64_t rest_until_ms = 0;
    proc_set_own_nice(VM_BACKGROUND_NICE);
    AUTO_LOCK(&p->lock);
    while (!p->stopping) {
        int64_t now = clock_mono_ms();
        if (p->count < p->target && now >= rest_until_ms)
            rest_until_ms = fill_one(p);
        else
            link_cond_wait(&p->changed, &p->lock,
                           p->count < p->target ? rest_until_ms : now + 60000);
    }
    return NULL;
}

int vm_pool_start(struct vm_pool *p, struct err *e)
{
    if (!p->target)
        return 0;
    if (pthread_create(&p->thread, NULL, filler, p) != 0)
        return err_set(e, ERR_INTERNAL, "pool: cannot start a thread");
    p->has_thread = true;
    return 0;
}

void vm_pool_stop(struct vm_pool *p)
{
    {
        AUTO_LOCK(&p->lock);
        p->stopping = true;
        pthread_cond_signal(&p->changed);
    }
    if (p->has_thread)
        pthread_join(p->thread, NULL);
    p->has_thread = false;
    for (struct vm *vm; (vm = pop(p));)
        reaper_add(p->host->reaper, vm);
}

/* --- taking --- */

struct vm *vm_pool_take(struct vm_pool *p, const struct vm_info *asked)
{
    const struct config *c = p->host->config;
    if (asked->snapshot[0] || strcmp(asked->image, c->vm_image) != 0 ||
        strcmp(asked->machine_type, c->machine_types[0].name) != 0)
        return NULL;
    struct vm *vm;
    for (;;) {
        {
            AUTO_LOCK(&p->lock);
            vm = pop(p);
        }
        if (!vm || !link_ended(vm->link, NULL))
            break;
        reaper_add(p->host->reaper, vm);
    }
    if (vm)
        proc_set_nice(vm->monitor.proc.pid, 0);
    return vm;
}

void vm_pool_give_back(struct vm_pool *p, struct vm *vm)
{
    proc_set_nice(vm->monitor.proc.pid, VM_BACKGROUND_NICE);
    AUTO_LOCK(&p->lock);
    push(p, vm);
}

int vm_pool_count(struct vm_pool *p)
{
    AUTO_LOCK(&p->lock);
    return p->count;
}

bool vm_pool_give_way(struct vm_pool *p)
{
    struct vm *vm;
    {
        AUTO_LOCK(&p->lock);
        vm = pop(p);
    }
    if (!vm)
        return false;
    vm_end(p->host, vm);
    return true;
}
