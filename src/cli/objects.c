/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/objects.h"

#include <errno.h>
#include <stdlib.h>

#include "cli/api_answer.h"
#include "cli/confirm.h"
#include "cli/json.h"
#include "cli/vm_call.h"

int objects_list(struct cli_call *call, const struct objects_list *l, struct err *e)
{
    auto_table struct table t = {.n_columns = l->n_columns, .heads = l->heads, .right = l->right};
    auto_json json_t *all = NULL;
    size_t i;
    json_t *object;
    int r = api_client_get_list(call->client, l->path, &all, e);
    if (r < 0)
        return r;
    progress_stop(&call->cli->progress);
    if (options_has(call->o, "json")) {
        cli_print_json(call->cli, all);
        return 0;
    }
    json_array_foreach(all, i, object) l->add_row(&t, &call->cli->out, object);
    if (!t.n_rows && l->none && call->cli->out.tty)
        vm_call_tell(call->cli, "%s", l->none);
    else
        table_print(&t, &call->cli->out);
    return 0;
}

static bool may_be_missing(const struct cli_call *call, const struct err *e)
{
    return options_has(call->o, "force") && e->class == ERR_NOT_FOUND;
}

static int delete_one(struct cli_call *call, enum ref_kind kind, const struct ref_found *ref,
                      struct err *e)
{
    char path[VM_PATH_SIZE];
    snprintf(path, sizeof(path), "%s/%s", ref_path(kind), ref->id);
    struct api_call rq = {.method = "DELETE", .path = path, .timeout_s = -1};
    int r = api_client_call(call->client, &rq, NULL, NULL, e);
    if (r < 0)
        return may_be_missing(call, e) ? 0 : r;
    vm_call_tell(call->cli, "%s %s is deleted", ref_noun(kind), ref->name);
    return 0;
}

int objects_delete(struct cli_call *call, enum ref_kind kind, struct err *e)
{
    auto_ref struct ref ref = {.client = call->client, .kind = kind};
    auto_buf struct buf what = {0};
    size_t n = 0;
    auto_free struct ref_found *found = calloc(call->o->n_words, sizeof(*found));
    if (!found)
        return err_errno(e, -ENOMEM, "look them up");
    buf_printf(&what, "Delete the %s ", ref_noun(kind));
    for (size_t i = 0; i < call->o->n_words; i++) {
        int r = ref_find(&ref, call->o->words[i], &found[n], e);
        if (r < 0 && !may_be_missing(call, e))
            return r;
        if (r == 0)
            buf_printf(&what, "%s%s", n ? ", " : "", found[n].name);
        n += r == 0;
    }
    int r = n ? confirm(call->cli, call->o, buf_str(&what), e) : 0;
    for (size_t i = 0; i < n && r == 0; i++)
        r = delete_one(call, kind, &found[i], e);
    return r;
}
