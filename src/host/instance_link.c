/* SPDX-License-Identifier: Apache-2.0 */

/* An instance's monitor, and those who use the link to its agent. */

#include "host/instance.h"

#include "base/cleanup.h"
#include "base/clock.h"

void instance_set_vm(struct instances *s, struct instance *inst, struct vm *vm)
{
    AUTO_LOCK(&s->lock);
    inst->vm = vm;
    inst->seen.at_us = 0;
}

/* Nobody is given it any more; who has it is told, and waited for. */
static void drop_users(struct instances *s, struct instance *inst, struct link *link)
{
    if (link)
        link_shutdown(link);
    AUTO_LOCK(&s->lock);
    while (inst->users > 0)
        pthread_cond_wait(&s->changed, &s->lock);
}

struct vm *instance_take_vm(struct instances *s, struct instance *inst)
{
    struct vm *vm;
    {
        AUTO_LOCK(&s->lock);
        vm = TAKE_PTR(inst->vm);
    }
    drop_users(s, inst, vm ? vm->link : NULL);
    return vm;
}

void instance_drop_link(struct instances *s, struct instance *inst)
{
    struct link *link;
    {
        AUTO_LOCK(&s->lock);
        link = TAKE_PTR(inst->vm->link);
    }
    drop_users(s, inst, link);
    link_close(link);
}

int instance_connect(struct instances *s, struct instance *inst, struct err *e)
{
    struct link *link = NULL;
    int r = vm_connect(s->host, inst->vm, &link, e);
    if (r < 0)
        return r;
    AUTO_LOCK(&s->lock);
    inst->vm->link = link;
    return 0;
}

int instance_use(struct instances *s, struct instance *inst, struct link **ret, struct err *e)
{
    AUTO_LOCK(&s->lock);
    const struct vm_info *info = &inst->record.info;
    bool runs = info->state == VM_RUNNING || (info->state == VM_PAUSING && inst->vm);
    if (inst->gone)
        return err_set(e, ERR_NOT_FOUND, "there is no such vm");
    if (!runs)
        return err_set(e, ERR_CONFLICT, "vm %s is %s: this needs it to run", info->name,
                       lifecycle_state_name(info->state));
    if (!inst->vm || !inst->vm->link)
        return err_set(e, ERR_UNAVAILABLE, "the agent of vm %s is not connected", info->name);
    inst->users++;
    *ret = inst->vm->link;
    return 0;
}

void instance_unuse(struct instances *s, struct instance *inst)
{
    AUTO_LOCK(&s->lock);
    if (--inst->users == 0)
        pthread_cond_broadcast(&s->changed);
}
