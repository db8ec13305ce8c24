/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fake/vars.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void vars_clear(struct vars *v)
{
    for (size_t i = 0; i < v->n; i++) {
        free(v->list[i].name);
        free(v->list[i].value);
    }
    v->n = 0;
}

static struct var *find(const struct vars *v, const char *name)
{
    for (size_t i = 0; i < v->n; i++)
        if (strcmp(v->list[i].name, name) == 0)
            return (struct var *)(uintptr_t)&v->list[i];
    return NULL;
}

const char *vars_get(const struct vars *v, const char *name)
{
    const struct var *var = find(v, name);
    return var ? var->value : NULL;
}

int vars_set(struct vars *v, const char *name, const char *value)
{
    if (!name[0] || strlen(name) > VARS_NAME_MAX_BYTES || strlen(value) > VARS_VALUE_MAX_BYTES)
        return -E2BIG;
    struct var *var = find(v, name);
    if (!var && v->n == VARS_MAX)
        return -E2BIG;
    auto_free char *own_value = strdup(value);
    auto_free char *own_name = var ? NULL : strdup(name);
    if (!own_value || (!var && !own_name))
        return -ENOMEM;
    if (var) {
        free(var->value);
        var->value = TAKE_PTR(own_value);
    } else {
        v->list[v->n++] = (struct var){TAKE_PTR(own_name), TAKE_PTR(own_value)};
    }
    return 0;
}

int vars_add(struct vars *v, const char *name, int64_t more, int64_t *ret)
{
    char text[24];
    const char *old = vars_get(v, name);
    int64_t n = old ? strtoll(old, NULL, 10) : 0;
    if (__builtin_add_overflow(n, more, &n))
        n = 0;
    snprintf(text, sizeof(text), "%" PRId64, n);
    *ret = n;
    return vars_set(v, name, text);
}

void vars_save(const struct vars *v, struct buf *out)
{
    pack_u32(out, v->n);
    for (size_t i = 0; i < v->n; i++) {
        pack_str(out, v->list[i].name);
        pack_str(out, v->list[i].value);
    }
}

int vars_load(struct vars *v, struct unpack *u)
{
    auto_free char *value = malloc(VARS_VALUE_MAX_BYTES + 1);
    char name[VARS_NAME_MAX_BYTES + 1];
    size_t n = unpack_u32(u);
    if (!value)
        return -ENOMEM;
    for (size_t i = 0; i < n && !u->failed; i++) {
        unpack_str(u, name, sizeof(name));
        unpack_str(u, value, VARS_VALUE_MAX_BYTES + 1);
        if (u->failed || vars_get(v, name) || vars_set(v, name, value) < 0)
            u->failed = true;
    }
    return u->failed ? -EINVAL : 0;
}

uint64_t vars_hash(const struct vars *v, uint64_t hash)
{
    for (size_t i = 0; i < v->n; i++) {
        hash = pack_hash(hash, v->list[i].name, strlen(v->list[i].name) + 1);
        hash = pack_hash(hash, v->list[i].value, strlen(v->list[i].value) + 1);
    }
    return hash;
}
