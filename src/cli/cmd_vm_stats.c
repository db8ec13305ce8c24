/* SPDX-License-Identifier: Apache-2.0 */

/* What a VM uses now. Names that end in a unit are shown in a fitting one; what a newer daemon adds
 * is shown without this program knowing it. */

#include <string.h>

#include "cli/api_answer.h"
#include "cli/commands.h"
#include "cli/fields.h"
#include "cli/json.h"
#include "cli/units.h"
#include "cli/vm_call.h"

/* "cpuTimeMs" without its unit and in words: "cpu time". */
static void name_of(const char *key, size_t unit_len, struct buf *ret)
{
    size_t len = strlen(key) - unit_len;
    for (size_t i = 0; i < len; i++) {
        bool is_upper = key[i] >= 'A' && key[i] <= 'Z';
        buf_printf(ret, is_upper && i ? " %c" : "%c", is_upper ? key[i] + 32 : key[i]);
    }
}

static size_t unit_of(const char *key, const json_t *v, char value[UNITS_SIZE])
{
    static const struct {
        const char *unit;
        double seconds; /* 0: bytes */
    } rows[] = {{"Bytes", 0}, {"MiB", 0}, {"Ms", 1e-3}, {"Us", 1e-6}, {"Sec", 1}};
    double n = json_number_value(v);
    for (size_t i = 0; i < ARRAY_SIZE(rows) && json_is_number(v); i++) {
        size_t len = strlen(rows[i].unit), key_len = strlen(key);
        if (key_len <= len || strcmp(key + key_len - len, rows[i].unit))
            continue;
        if (rows[i].seconds > 0)
            snprintf(value, UNITS_SIZE, "%.3f s", n * rows[i].seconds);
        else
            units_bytes(strcmp(rows[i].unit, "MiB") ? n : n * (1 << 20), value);
        return len;
    }
    return 0;
}

static void add_rows(struct table *t, const json_t *stats)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)stats, key, v)
    {
        auto_buf struct buf name = {0};
        char value[UNITS_SIZE];
        size_t unit_len = unit_of(key, v, value);
        name_of(key, unit_len, &name);
        if (unit_len) {
            fields_row(t, buf_str(&name), value, STYLE_PLAIN);
            continue;
        }
        auto_json json_t *one = json_object();
        json_object_set(one, buf_str(&name), v);
        fields_add(t, one, NULL);
    }
}

static int stats(struct cli_call *call, struct err *e)
{
    auto_table struct table t = {.n_columns = 2};
    auto_json json_t *answer = NULL;
    struct ref_found vm;
    char path[VM_PATH_SIZE];
    int r = vm_call_find(call, 0, &vm, e);
    if (r < 0)
        return r;
    vm_call_path(&vm, "/stats", path);
    r = api_client_get(call->client, path, &answer, e);
    if (r < 0)
        return r;
    progress_stop(&call->cli->progress);
    if (options_has(call->o, "json")) {
        cli_print_json(call->cli, answer);
        return 0;
    }
    add_rows(&t, answer);
    table_print(&t, &call->cli->out);
    return 0;
}

const struct cli_command cmd_vm_stats = {
    .name = "vm stats",
    .summary = "Show what a VM uses now",
    .usage = (const char *const[]){"vm stats VM [--json]", NULL},
    .details = "'holm top' shows it for all, and goes on showing it.",
    .options =
        (const struct option_row[]){
            {.name = "json", .doc = "Print the daemon's JSON answer"},
            {0},
        },
    .examples = (const struct cli_example[]){{"holm vm stats lab", "Lab's."}, {0}},
    .words_min = 1,
    .words_max = 1,
    .needs = "which VM? 'holm vm list' shows all",
    .fill = {FILL_VM},
    .call = stats,
    .doing = "asking for the VM's use",
};
