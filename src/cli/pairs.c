/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/pairs.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

int pairs_add(json_t *object, const char *what, const char *pair, bool from_env, struct err *e)
{
    const char *eq = strchr(pair, '=');
    const char *value = eq ? eq + 1 : from_env ? getenv(pair) : NULL;
    if (eq == pair || !*pair || (!eq && !from_env))
        return err_set(e, ERR_INVALID, "%s takes NAME=VALUE, not '%.200s'", what, pair);
    if (!value)
        return err_set(e, ERR_INVALID, "%s %.200s: it is not set here; write %s %.200s=VALUE", what,
                       pair, what, pair);
    auto_free char *name = strndup(pair, eq ? (size_t)(eq - pair) : strlen(pair));
    if (!name || json_object_set_new(object, name, json_string(value)) < 0)
        return err_set(e, ERR_INVALID, "%s %.200s: not UTF-8 text", what, pair);
    return 0;
}

int pairs_gather(const struct options *o, const char *option, bool from_env, json_t *object,
                 struct err *e)
{
    char what[40];
    snprintf(what, sizeof(what), "--%s", option);
    for (size_t i = 0; i < o->n_hits; i++) {
        if (strcmp(o->hits[i].row->name, option))
            continue;
        int r = pairs_add(object, what, o->hits[i].value, from_env, e);
        if (r < 0)
            return r;
    }
    return 0;
}
