/* SPDX-License-Identifier: Apache-2.0 */
#include "host/metrics.h"

#include "host/instance.h"
#include "host/vm_pool.h"

const int metrics_bucket_ms[METRICS_BUCKETS] = {1,   5,   10,   25,   50,    100,
                                                250, 500, 1000, 2500, 10000, 60000};

void histogram_add(struct histogram *h, int64_t us)
{
    int i = 0;
    while (i < METRICS_BUCKETS && us > metrics_bucket_ms[i] * (int64_t)1000)
        i++;
    atomic_fetch_add_explicit(&h->bucket[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum_us, (unsigned long)us, memory_order_relaxed);
}

static void print_head(struct buf *b, const char *name, const char *type, const char *help)
{
    buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void print_histogram(struct buf *b, const char *name, const char *help, struct histogram *h)
{
    print_head(b, name, "histogram", help);
    unsigned long total = 0;
    for (int i = 0; i < METRICS_BUCKETS; i++) {
        total += h->bucket[i];
        buf_printf(b, "%s_bucket{le=\"%g\"} %lu\n", name, metrics_bucket_ms[i] / 1e3, total);
    }
    total += h->bucket[METRICS_BUCKETS];
    buf_printf(b, "%s_bucket{le=\"+Inf\"} %lu\n%s_sum %.6f\n%s_count %lu\n", name, total, name,
               (double)h->sum_us / 1e6, name, total);
}

static void print_one(struct buf *b, const char *name, const char *type, const char *help,
                      unsigned long value)
{
    print_head(b, name, type, help);
    buf_printf(b, "%s %lu\n", name, value);
}

static void print_runs(struct buf *b, struct metrics *m)
{
    const struct {
        const char *result;
        atomic_ulong *count;
    } rows[] = {
        {"ok", &m->runs_ok},
        {"timed_out", &m->runs_timed_out},
        {"failed", &m->runs_failed},
        {"refused", &m->runs_refused},
        {"cancelled", &m->runs_cancelled},
    };
    print_head(b, "holm_runs_total", "counter",
               "Programs asked for, by how it ended; ok whatever their exit code.");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        buf_printf(b, "holm_runs_total{result=\"%s\"} %lu\n", rows[i].result, *rows[i].count);
}

static void print_languages(struct buf *b, struct host *h)
{
    print_head(b, "holm_language_ready", "gauge", "1 when the language can be run.");
    const struct language *lang;
    struct language_status st;
    for (size_t i = 0; (lang = host_language(i)); i++) {
        host_language_status(h, lang, &st);
        buf_printf(b, "holm_language_ready{language=\"%s\"} %d\n", lang->name,
                   st.state == LANGUAGE_READY);
    }
    print_head(b, "holm_pool_vms", "gauge", "Warm VMs that wait, by language.");
    for (size_t i = 0; (lang = host_language(i)); i++)
        buf_printf(b, "holm_pool_vms{language=\"%s\"} %d\n", lang->name, pool_count(h->pool, lang));
}

static void print_living(struct buf *b, struct host *h)
{
    int count[VM_STATE_COUNT];
    instances_count(h->instances, count);
    print_head(b, "holm_living_vms", "gauge", "VMs of accounts, by state.");
    for (int i = 0; i < VM_STATE_COUNT; i++)
        buf_printf(b, "holm_living_vms{state=\"%s\"} %d\n", lifecycle_state_name(i), count[i]);
    print_one(b, "holm_vm_pool", "gauge", "VMs that wait to be launched.",
              (unsigned long)vm_pool_count(h->vm_pool));
}

static void print_admission(struct buf *b, struct admission *a)
{
    int vms, memory_mib, starting, waiting;
    unsigned long refused;
    {
        AUTO_LOCK(&a->lock);
        vms = a->vms;
        memory_mib = a->memory_mib;
        starting = (int)(a->starts_came - a->starts_ended);
        starting = starting < a->starts_max ? starting : a->starts_max;
        waiting = a->waiting;
        refused = a->refused;
    }
    print_one(b, "holm_vms", "gauge", "VMs that exist.", (unsigned long)vms);
    print_one(b, "holm_vms_max", "gauge", "VMs that may exist.", (unsigned long)a->vms_max);
    print_one(b, "holm_vms_starting", "gauge", "VMs that are starting.", (unsigned long)starting);
    print_one(b, "holm_runs_waiting", "gauge", "Runs that wait for room for their VM.",
              (unsigned long)waiting);
    print_one(b, "holm_memory_promised_bytes", "gauge", "Memory promised to guests.",
              (unsigned long)memory_mib << 20);
    print_one(b, "holm_memory_max_bytes", "gauge", "Memory that may be promised.",
              (unsigned long)a->memory_max_mib << 20);
    print_one(b, "holm_admission_refused_total", "counter", "VMs that admission refused.", refused);
}

void host_metrics(struct host *h, struct buf *b)
{
    struct metrics *m = &h->metrics;
    print_head(b, "holm_build_info", "gauge", "Version and engine, as labels.");
    buf_printf(b, "holm_build_info{version=\"" HOLM_VERSION "\",engine=\"%s\"} 1\n",
               h->engine->ops->name);
    print_runs(b, m);
    print_one(b, "holm_runs_warm_total", "counter",
              "Runs that a runtime took over which had waited for them.", m->runs_warm);
    print_one(b, "holm_pool_hits_total", "counter", "Runs that found a VM waiting.", m->pool_hits);
    print_one(b, "holm_pool_misses_total", "counter", "Runs that had to restore one.",
              m->pool_misses);
    print_one(b, "holm_vms_started_total", "counter", "VMs started.", m->vms_started);
    print_one(b, "holm_vms_failed_total", "counter", "VMs that failed to start.", m->vms_failed);
    print_one(b, "holm_vms_ended_total", "counter", "VMs ended.", m->vms_ended);
    print_one(b, "holm_vms_adopted_total", "counter", "VMs taken over from a former daemon.",
              m->vms_adopted);
    print_one(b, "holm_vms_reaped_total", "counter", "VMs of a former daemon that were ended.",
              m->vms_reaped);
    print_admission(b, &h->admission);
    print_living(b, h);
    print_languages(b, h);
    print_histogram(b, "holm_restore_seconds",
                    "From the start of a monitor until its agent answered.", &m->restore);
    print_histogram(b, "holm_run_load_seconds", "From a request until its VM was ready.", &m->load);
    print_histogram(b, "holm_run_exec_seconds", "Wall time of programs, compilation included.",
                    &m->exec);
}
