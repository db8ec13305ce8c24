/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_sample.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/api_answer.h"
#include "cli/json.h"
#include "cli/table.h"
#include "cli/units.h"
#include "cli/vm_call.h"
#include "cli/vm_view.h"

const char *const top_order_names[TOP_ORDERS] = {
    [TOP_CPU] = "cpu",         [TOP_MEMORY] = "memory", [TOP_DISK] = "disk",
    [TOP_NETWORK] = "network", [TOP_AGE] = "age",       [TOP_NAME] = "name",
};

enum top_order top_order_find(const char *name)
{
    int i = 0;
    while (i < TOP_ORDERS && strcmp(top_order_names[i], name) != 0)
        i++;
    return (enum top_order)i;
}

double top_number(const struct top_vm *v, const char *key)
{
    return json_number_value(json_object_get(v->stats, key));
}

double top_rate(double before, double now, int64_t elapsed_ms)
{
    return now < before || elapsed_ms <= 0 ? -1 : (now - before) * 1000 / (double)elapsed_ms;
}

static const struct top_vm *find(const struct top_sample *s, const char *id)
{
    for (size_t i = 0; s && i < s->n; i++) {
        if (!strcmp(json_text(s->vms[i].vm, "id"), id))
            return &s->vms[i];
    }
    return NULL;
}

static void compare(struct top_vm *v, const struct top_vm *before, int64_t elapsed_ms)
{
    v->cpu_percent = v->rx_per_s = v->tx_per_s = -1;
    if (!v->stats || !before || !before->stats)
        return;
    double cpu = top_rate(top_number(before, "cpuTimeMs"), top_number(v, "cpuTimeMs"), elapsed_ms);
    v->cpu_percent = cpu < 0 ? -1 : cpu / 10; /* ms a second */
    v->rx_per_s =
        top_rate(top_number(before, "networkRxBytes"), top_number(v, "networkRxBytes"), elapsed_ms);
    v->tx_per_s =
        top_rate(top_number(before, "networkTxBytes"), top_number(v, "networkTxBytes"), elapsed_ms);
}

/* One that has gone since the list was made has no statistics; that is no error of ours. */
static int take_stats(struct api_client *c, struct top_vm *v, struct err *e)
{
    struct ref_found ref = {0};
    char path[VM_PATH_SIZE];
    snprintf(ref.id, sizeof(ref.id), "%s", json_text(v->vm, "id"));
    vm_call_path(&ref, "/stats", path);
    int r = api_client_get(c, path, &v->stats, e);
    bool has_gone = r < 0 && (e->class == ERR_NOT_FOUND || e->class == ERR_CONFLICT);
    return has_gone ? 0 : r;
}

int top_sample_take(struct api_client *c, const struct top_sample *before, struct top_sample *ret,
                    struct err *e)
{
    auto_json json_t *list = NULL;
    struct top_sample CLEANUP(top_sample_done) s = {0};
    size_t i;
    json_t *vm;
    int r = api_client_get_list(c, "/v1/vms", &list, e);
    if (r < 0)
        return r;
    s.vms = calloc(json_array_size(list) + 1, sizeof(*s.vms));
    if (!s.vms)
        return err_errno(e, -ENOMEM, "take a sample");
    s.at_ms = clock_mono_ms();
    json_array_foreach(list, i, vm)
    {
        struct top_vm *v = &s.vms[s.n++];
        v->vm = json_incref(vm);
        r = take_stats(c, v, e);
        if (r < 0)
            return r;
        compare(v, find(before, json_text(vm, "id")), before ? s.at_ms - before->at_ms : 0);
    }
    *ret = s;
    s = (struct top_sample){0};
    return 0;
}

void top_sample_done(struct top_sample *s)
{
    for (size_t i = 0; i < s->n; i++) {
        json_decref(s->vms[i].vm);
        json_decref(s->vms[i].stats);
    }
    free(s->vms);
    *s = (struct top_sample){0};
}

/* ---- order ---- */

static double weight(const struct top_vm *v, enum top_order order)
{
    switch (order) {
    case TOP_CPU:
        return v->cpu_percent;
    case TOP_MEMORY:
        return top_number(v, "memoryBytes");
    case TOP_DISK:
        return top_number(v, "diskBytes");
    case TOP_NETWORK:
        return v->rx_per_s + v->tx_per_s;
    case TOP_AGE:
        return -(double)units_parse_time_ms(json_text(v->vm, "createdAt"));
    default:
        return 0;
    }
}

static int compare_vms(const void *a, const void *b, void *arg)
{
    const struct top_vm *va = a, *vb = b;
    double wa = weight(va, *(enum top_order *)arg), wb = weight(vb, *(enum top_order *)arg);
    if (wa != wb)
        return wa < wb ? 1 : -1;
    return strcmp(json_text(va->vm, "name"), json_text(vb->vm, "name"));
}

void top_sample_sort(struct top_sample *s, enum top_order order)
{
    if (s->n)
        qsort_r(s->vms, s->n, sizeof(*s->vms), compare_vms, &order);
}

/* ---- what is shown ---- */

static void bytes_text(double bytes, bool is_known, const char *after, char ret[UNITS_SIZE])
{
    char text[UNITS_SIZE];
    ret[0] = '\0';
    if (!is_known)
        return;
    units_bytes(bytes, text);
    snprintf(ret, UNITS_SIZE, "%s%s", text, after);
}

static enum term_style cpu_style(double percent)
{
    return percent >= 90 ? STYLE_BAD : percent >= 50 ? STYLE_WARN : STYLE_PLAIN;
}

static void add_row(struct table *t, const struct top_vm *v)
{
    const char *status = json_text(v->vm, "status");
    char cpu[UNITS_SIZE] = "", memory[UNITS_SIZE], disk[UNITS_SIZE], rx[UNITS_SIZE], tx[UNITS_SIZE];
    char age[UNITS_SIZE];
    if (v->cpu_percent >= 0)
        snprintf(cpu, sizeof(cpu), "%.1f", v->cpu_percent);
    bytes_text(top_number(v, "memoryBytes"), v->stats, "", memory);
    bytes_text(top_number(v, "diskBytes"), v->stats, "", disk);
    bytes_text(v->rx_per_s, v->rx_per_s >= 0, "/s", rx);
    bytes_text(v->tx_per_s, v->tx_per_s >= 0, "/s", tx);
    vm_view_age(json_text(v->vm, "createdAt"), age, sizeof(age));
    table_add(t, (struct table_cell[]){
                     {.text = json_text(v->vm, "name"), .style = STYLE_BOLD},
                     {.text = status, .style = vm_view_style(status)},
                     {.text = json_text(v->vm, "machineType")},
                     {.text = cpu, .style = cpu_style(v->cpu_percent)},
                     {.text = memory},
                     {.text = disk},
                     {.text = rx},
                     {.text = tx},
                     {.text = age},
                 });
}

void top_print(const struct term *term, const struct top_sample *s)
{
    static const char *const heads[] = {"NAME", "STATUS", "TYPE",    "CPU%", "MEMORY",
                                        "DISK", "NET IN", "NET OUT", "AGE"};
    auto_table struct table t = {
        .n_columns = ARRAY_SIZE(heads), .heads = heads, .right = 0x3f << 3};
    for (size_t i = 0; i < s->n; i++)
        add_row(&t, &s->vms[i]);
    table_print(&t, term);
}

void top_summary(const struct top_sample *s, char *ret, size_t size)
{
    size_t running = 0;
    double cpu = 0, memory = 0;
    char text[UNITS_SIZE];
    for (size_t i = 0; i < s->n; i++) {
        running += !strcmp(json_text(s->vms[i].vm, "status"), "running");
        cpu += s->vms[i].cpu_percent > 0 ? s->vms[i].cpu_percent : 0;
        memory += top_number(&s->vms[i], "memoryBytes");
    }
    units_bytes(memory, text);
    snprintf(ret, size, "%zu VM%s, %zu running, %.0f%% CPU, %s", s->n, s->n == 1 ? "" : "s",
             running, cpu, text);
}

json_t *top_json(const struct top_sample *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->n; i++) {
        const struct top_vm *v = &s->vms[i];
        json_t *object = json_copy(v->vm);
        json_object_set(object, "stats", v->stats ? v->stats : json_null());
        json_object_set_new(object, "cpuPercent",
                            v->cpu_percent < 0 ? json_null() : json_real(v->cpu_percent));
        json_array_append_new(list, object);
    }
    return list;
}
