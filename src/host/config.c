/* SPDX-License-Identifier: Apache-2.0 */
#include "host/config.h"

#include <errno.h>
#include <ini.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/limits.h"

enum kind { TEXT, INTEGER, BOOLEAN };

struct option {
    const char *section, *key;
    enum kind kind;
    size_t offset;
    const char *fallback; /* the default, as written in the file */
    int min, max;         /* INTEGER */
    const char *doc;      /* lines separated by \n */
};

#define OPT(section, key, kind, member, ...)                             \
    {                                                                    \
        section, key, kind, offsetof(struct config, member), __VA_ARGS__ \
    }

static const struct option options[] = {
    OPT("server", "listen", TEXT, listen, "127.0.0.1:8080", 0, 0,
        "Addresses to listen on, separated by spaces: HOST:PORT or unix:/PATH. Beyond loopback "
        "every "
        "request\n"
        "needs a key (X-API-Key or Authorization: Bearer)."),
    OPT("server", "require_key", BOOLEAN, require_key, "no", 0, 0,
        "Whether running code needs a key on loopback too. VMs, snapshots and accounts always need "
        "one; the\n"
        "admin's is in admin.key in the data directory."),
    OPT("server", "allowed_hosts", TEXT, allowed_hosts, "", 0, 0,
        "Further names that a request's Host header may carry, besides localhost and loopback "
        "addresses."),
    OPT("server", "log_level", TEXT, log_level, "info", 0, 0, "debug, info, warn or error."),
    OPT("server", "shutdown_grace_s", INTEGER, shutdown_grace_s, "10", 0, 3600,
        "How long running requests may go on after SIGTERM."),
    OPT("admin", "email", TEXT, admin_email, "", 0, 0,
        "Who may sign in to the dashboard with a password, besides everyone who has an API key. Or "
        "set\nADMIN_EMAIL in the daemon's environment."),
    OPT("admin", "password", TEXT, admin_password, "", 0, 0,
        "The password; only its hash is stored. Better kept out of files and command lines: set "
        "ADMIN_PASSWORD in the daemon's environment."),
    OPT("rds", "enabled", BOOLEAN, rds, "no", 0, 0,
        "Whether the run-dat-sheesh API has listeners of its own, where it is mounted at /. At "
        "/rds it is on every listener."),
    OPT("rds", "listen", TEXT, rds_listen, "127.0.0.1:3000", 0, 0,
        "Their addresses, as in server.listen."),
    OPT("rds", "api_key", TEXT, rds_api_key, "", 0, 0,
        "One more key of the admin account, chosen by you, for clients that have one already. Or "
        "set API_KEY in the daemon's environment."),
    OPT("rds", "rate_limits", BOOLEAN, rds_rate_limits, "yes", 0, 0,
        "Whether this API's requests are limited per minute (docs/rds.md)."),
    OPT("rds", "cpu_max", INTEGER, rds_cpu_max, "8", 1, 64, "Most vCPUs of one VM."),
    OPT("rds", "memory_max_mib", INTEGER, rds_memory_max_mib, "8192", 128, 1 << 20,
        "Most memory of one VM."),
    OPT("rds", "vms_max", INTEGER, rds_vms_max, "20", 0, 65536,
        "Most VMs that an account may have when it creates one by this API. 0: no bound."),
    OPT("rds", "allow_ips_max", INTEGER, rds_allow_ips_max, "64", 0, 256,
        "Most entries of allowIps."),
    OPT("rds", "exec_timeout_max_ms", INTEGER, rds_exec_timeout_max_ms, "120000", 1000, 86400000,
        "Most that timeoutMs of exec may ask for."),
    OPT("rds", "run_ts_timeout_max_ms", INTEGER, rds_run_ts_timeout_max_ms, "120000", 1000,
        86400000, "Likewise of run-ts."),
    OPT("paths", "data_dir", TEXT, data_dir, "/var/lib/holm", 0, 0,
        "Kernel, images, templates, VMs and the database. Its path must be short: sockets live "
        "below it."),
    OPT("paths", "helper_dir", TEXT, helper_dir, "", 0, 0,
        "Where Holm's helper programs are. Empty: ../libexec/holm from where holmd is."),
    OPT("paths", "languages", TEXT, languages, "", 0, 0,
        "The table of languages and their images, like images/languages.json. Empty: the one that "
        "is built in."),
    OPT("paths", "web_dir", TEXT, web_dir, "", 0, 0,
        "Where the dashboard's files are. Empty: ../share/holm/web from where holmd is."),
    OPT("paths", "images_dir", TEXT, images_dir, "", 0, 0,
        "Where the recipes of images and images/build are. Empty: ../share/holm/images from where "
        "holmd is."),
    OPT("s3", "endpoint", TEXT, s3_endpoint, "", 0, 0,
        "An object store for images and templates that speaks S3: http://HOST[:PORT] or "
        "https://HOST[:PORT]. Empty: Amazon's in the region."),
    OPT("s3", "region", TEXT, s3_region, "us-east-1", 0, 0,
        "The bucket's region. Or set AWS_DEFAULT_REGION in the daemon's environment."),
    OPT("s3", "bucket", TEXT, s3_bucket, "", 0, 0,
        "The bucket. Empty: there is no object store. Or set S3_BUCKET in the environment."),
    OPT("s3", "prefix", TEXT, s3_prefix, "holm", 0, 0,
        "What the names of all objects begin with: PREFIX/images/..., PREFIX/templates/..."),
    OPT("s3", "access_key", TEXT, s3_access_key, "", 0, 0,
        "The key's id. Better set AWS_ACCESS_KEY_ID in the environment."),
    OPT("s3", "secret_key", TEXT, s3_secret_key, "", 0, 0,
        "The key's secret. Better kept out of files and command lines: set AWS_SECRET_ACCESS_KEY "
        "in the environment."),
    OPT("s3", "path_style", BOOLEAN, s3_path_style, "yes", 0, 0,
        "Whether the bucket is part of the path (HOST/BUCKET/...) or of the host's name "
        "(BUCKET.HOST/...)."),
    OPT("s3", "pull_on_demand", BOOLEAN, s3_pull_on_demand, "no", 0, 0,
        "Whether a program in a language whose image is not on this host has it pulled first."),
    OPT("s3", "retry_ms", INTEGER, s3_retry_ms, "500", 1, 60000,
        "How long to wait before a request is tried again; twice as long each time."),
    OPT("s3", "stall_s", INTEGER, s3_stall_s, "30", 1, 600,
        "For how long a request may be silent, with hardly a byte in either direction, until it is "
        "tried again."),
    OPT("engine", "engine", TEXT, engine, "qemu", 0, 0,
        "qemu, or fake (no VMs at all; for tests)."),
    OPT("engine", "accelerator", TEXT, accelerator, "auto", 0, 0,
        "auto measures whether KVM is usable and takes TCG, QEMU's software CPU, if not. Or: kvm, "
        "tcg."),
    OPT("engine", "qemu", TEXT, qemu, "qemu-system-x86_64", 0, 0, "The QEMU program."),
    OPT("engine", "jail", BOOLEAN, jail, "yes", 0, 0,
        "Whether each monitor runs under a uid of its own in its own namespaces. Only tests turn "
        "this off."),
    OPT("engine", "uid_first", INTEGER, uid_first, "1990000000", 65536, 2147000000,
        "Monitors run under uids from here on, one each. Nothing else on the host should use "
        "them."),
    OPT("engine", "uid_count", INTEGER, uid_count, "4096", 1, 65536,
        "How many such uids there are."),
    OPT("engine", "boot_timeout_s", INTEGER, boot_timeout_s, "180", 1, 3600,
        "How long an image's first boot may take until its agent answers."),
    OPT("engine", "restore_timeout_s", INTEGER, restore_timeout_s, "30", 1, 3600,
        "How long a restore may take until the agent answers."),
    OPT("limits", "vms_max", INTEGER, vms_max, "64", 1, 65536,
        "VMs at the same time, pooled ones included. Beyond it requests get 503 with Retry-After."),
    OPT("limits", "memory_max_mib", INTEGER, memory_max_mib, "0", 0, 1 << 30,
        "Memory of all VMs together, as promised to the guests. 0: three quarters of the host's."),
    OPT("limits", "starts_max", INTEGER, starts_max, "0", 0, 4096,
        "VMs that may be starting at the same time; more wait their turn. 0: twice the CPUs."),
    OPT("limits", "queue_max", INTEGER, queue_max, "64", 0, 65536,
        "Launches that may wait for room or for a template. Beyond it they get 503 with "
        "Retry-After."),
    OPT("limits", "run_queue_max", INTEGER, run_queue_max, "128", 0, 65536,
        "Runs of code that may wait for room for their VM. Beyond it they get 503 with "
        "Retry-After."),
    OPT("limits", "run_wait_s", INTEGER, run_wait_s, "60", 0, 3600,
        "How long each of them waits at the most; then likewise."),
    OPT("run", "memory_mib", INTEGER, run_memory_mib, "0", 0, 1 << 20,
        "What a program may use whose request says nothing of `limits`, and the most that a "
        "request may ask\nfor. 0: no bound but its VM's. Memory of it and all that it starts."),
    OPT("run", "memory_max_mib", INTEGER, run_memory_max_mib, "0", 0, 1 << 20, "Likewise."),
    OPT("run", "processes", INTEGER, run_processes, "0", 0, 1 << 20,
        "Its processes and threads at the same time."),
    OPT("run", "processes_max", INTEGER, run_processes_max, "0", 0, 1 << 20, "Likewise."),
    OPT("run", "file_mib", INTEGER, run_file_mib, "0", 0, 1 << 20,
        "The size of one file that it writes."),
    OPT("run", "file_max_mib", INTEGER, run_file_max_mib, "0", 0, 1 << 20, "Likewise."),
    OPT("run", "output_kib", INTEGER, run_output_kib, "4096", 1, 4096,
        "What is kept of each of its outputs. What is beyond is read and dropped."),
    OPT("run", "output_max_kib", INTEGER, run_output_max_kib, "4096", 1, 4096, "Likewise."),
    OPT("vms", "image", TEXT, vm_image, "typescript", 0, 0,
        "The image of a VM whose launch names none."),
    OPT("vms", "templates_max", INTEGER, templates_max, "32", 1, CONFIG_TEMPLATES_MAX,
        "Templates of images in machine types that launches asked for; the one that was not used "
        "for longest goes."),
    OPT("vms", "templates_gib", INTEGER, templates_gib, "64", 0, 1 << 20,
        "What these templates may have on the disk together, in GiB; then likewise. The one that "
        "was used last stays. 0: no bound."),
    OPT("vms", "machine_types", TEXT, machine_type_names,
        "c1m0.25 c1m0.5 c1m1 c1m2 c2m2 c2m4 c4m4 c4m8 c8m16", 0, 0,
        "The machine types that may be launched: cNmM is N vCPUs and M GiB. The first is the "
        "default."),
    OPT("quota", "vcpus", INTEGER, quota_vcpus, "0", 0, 1 << 20,
        "What a new account may use. 0: no bound but the host's. vCPUs and memory of VMs that run "
        "or are paused."),
    OPT("quota", "memory_mib", INTEGER, quota_memory_mib, "0", 0, 1 << 30, "Likewise."),
    OPT("quota", "disk_gib", INTEGER, quota_disk_gib, "0", 0, 1 << 20,
        "Disks of all its VMs that are not deleted."),
    OPT("quota", "snapshots", INTEGER, quota_snapshots, "0", 0, 1 << 20, "How many snapshots."),
    OPT("network", "enabled", BOOLEAN, network, "yes", 0, 0,
        "Whether VMs get a network. It needs CAP_NET_ADMIN, /dev/net/tun and nftables; without "
        "them VMs run without a network."),
    OPT("network", "pool", TEXT, network_pool, "10.201.0.0/16", 0, 0,
        "IPv4 addresses for the links between host and VMs, two each. Nothing else should use "
        "them."),
    OPT("network", "resolver", TEXT, network_resolver, "", 0, 0,
        "The DNS server that guests' questions go to. Empty: the first of /etc/resolv.conf."),
    OPT("network", "prefix", TEXT, network_prefix, "holm", 0, 0,
        "What the names of namespaces, devices and tables begin with. Two daemons on one host need "
        "two."),
    OPT("network", "spare", INTEGER, network_spare, "4", 0, 256,
        "Networks that are kept ready for the next VMs."),
    OPT("pool", "vms", INTEGER, vm_pool, "1", 0, 1024,
        "VMs of the default image and machine type that wait to be launched."),
    OPT("pool", "default", INTEGER, pool_default, "2", 0, 1024,
        "Warm VMs kept ready for a language that is used: whose image is built by default, or that "
        "was run in the\n"
        "last ten minutes. A line NAME = N sets it for one language, used or not."),
    OPT("pool", "languages_max", INTEGER, pool_languages_max, "8", 0, 128,
        "Of how many languages, besides those with a line of their own, VMs are kept ready; the "
        "last used ones."),
    OPT("pool", "warm", BOOLEAN, pool_warm, "yes", 0, 0,
        "Whether a pooled VM runs the language's hello program once before it counts as ready."),
    OPT("pool", "runtimes", BOOLEAN, pool_runtimes, "yes", 0, 0,
        "Whether runtimes that can are started ahead, and wait for a program in every VM of their "
        "language."),
    OPT("pool", "prepare_all", BOOLEAN, pool_prepare_all, "no", 0, 0,
        "Whether every built language is booted and captured when the daemon starts, or only those "
        "whose images are\n"
        "built by default, and those with a line of their own; the others then at their first "
        "run."),
    OPT("pool", "prepare_wait_s", INTEGER, pool_prepare_wait_s, "120", 0, 3600,
        "How long a run waits while its language is booted and captured; then it gets 503 with "
        "Retry-After."),
    OPT("pool", "fillers", INTEGER, fillers, "0", 0, 256,
        "Threads that refill the pool. 0: one for each CPU."),
};

/* A whole number within the option's bounds. */
static int parse_integer(const struct option *o, const char *value, int *ret, struct err *e)
{
    char *end;
    errno = 0;
    long n = strtol(value, &end, 10);
    if (errno || end == value || *end || n < o->min || n > o->max)
        return err_field(e, o->key, "%s.%s must be a whole number from %d to %d, not \"%s\"",
                         o->section, o->key, o->min, o->max, value);
    *ret = (int)n;
    return 0;
}

static int set_value(struct config *c, const struct option *o, const char *value, struct err *e)
{
    char *target = (char *)c + o->offset;
    if (o->kind == TEXT) {
        if (strlen(value) >= CONFIG_TEXT_SIZE)
            return err_field(e, o->key, "%s.%s is longer than %d bytes", o->section, o->key,
                             CONFIG_TEXT_SIZE - 1);
        strcpy(target, value);
        return 0;
    }
    if (o->kind == BOOLEAN) {
        bool yes = strcmp(value, "yes") == 0;
        if (!yes && strcmp(value, "no") != 0)
            return err_field(e, o->key, "%s.%s must be yes or no, not \"%s\"", o->section, o->key,
                             value);
        memcpy(target, &yes, sizeof(yes));
        return 0;
    }
    int number = 0;
    int r = parse_integer(o, value, &number, e);
    if (r == 0)
        memcpy(target, &number, sizeof(number));
    return r;
}

/* [pool] has one key for each language besides those of the table. */
static int set_pool(struct config *c, const char *language, const char *value, struct err *e)
{
    struct config_pool *p = NULL;
    for (int i = 0; i < c->n_pools; i++) {
        if (strcmp(c->pools[i].language, language) == 0)
            p = &c->pools[i];
    }
    if (!p && c->n_pools == CONFIG_POOLS_MAX)
        return err_field(e, language, "more than %d languages in [pool]", CONFIG_POOLS_MAX);
    struct config_pool fresh = {0};
    if (strlen(language) >= sizeof(fresh.language))
        return err_field(e, language, "pool.%s: no language has so long a name", language);
    const struct option o = {.section = "pool", .key = language, .min = 0, .max = 1024};
    int r = parse_integer(&o, value, &fresh.size, e);
    if (r < 0)
        return r;
    strcpy(fresh.language, language);
    if (!p)
        p = &c->pools[c->n_pools++];
    *p = fresh;
    return 0;
}

static int set_option(struct config *c, const char *section, const char *key, const char *value,
                      struct err *e)
{
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        if (strcmp(options[i].section, section) == 0 && strcmp(options[i].key, key) == 0)
            return set_value(c, &options[i], value, e);
    }
    if (strcmp(section, "pool") == 0)
        return set_pool(c, key, value, e);
    return err_field(e, key, "there is no option %s.%s; holmd --print-config shows all", section,
                     key);
}

/* "c2m4": 2 vCPUs, 4 GiB; the memory may have a fraction. */
static int parse_machine_type(const char *word, struct machine_type *ret, struct err *e)
{
    int vcpus, n = 0;
    double gib;
    if (sscanf(word, "c%dm%lf%n", &vcpus, &gib, &n) != 2 || word[n] || vcpus < 1 ||
        vcpus > VM_VCPUS_MAX || gib * 1024 < VM_MEMORY_MIN_MIB || gib * 1024 > VM_MEMORY_MAX_MIB ||
        strlen(word) >= sizeof(ret->name))
        return err_field(e, "machine_types", "vms.machine_types: \"%.40s\" is no machine type",
                         word);
    ret->shape = (struct machine_shape){.vcpus = vcpus, .memory_mib = (int)(gib * 1024)};
    strcpy(ret->name, word);
    return 0;
}

int config_finish(struct config *c, struct err *e)
{
    char words[CONFIG_TEXT_SIZE];
    strcpy(words, c->machine_type_names);
    c->n_machine_types = 0;
    for (char *save, *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        if (c->n_machine_types == CONFIG_MACHINE_TYPES_MAX)
            return err_field(e, "machine_types", "vms.machine_types: more than %d",
                             CONFIG_MACHINE_TYPES_MAX);
        int r = parse_machine_type(w, &c->machine_types[c->n_machine_types], e);
        if (r < 0)
            return r;
        c->n_machine_types++;
    }
    if (!c->n_machine_types)
        return err_field(e, "machine_types", "vms.machine_types names none");
    return 0;
}

void config_init(struct config *c)
{
    *c = (struct config){0};
    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        set_value(c, &options[i], options[i].fallback, NULL);
}

struct reading {
    struct config *config;
    struct err *e;
    int result;
};

static int on_line(void *arg, const char *section, const char *key, const char *value)
{
    struct reading *rd = arg;
    rd->result = set_option(rd->config, section, key, value, rd->e);
    return rd->result == 0;
}

int config_read(struct config *c, const char *path, struct err *e)
{
    auto_fclose FILE *f = fopen(path, "re");
    if (!f)
        return err_errno(e, -errno, "open configuration %s", path);
    /* A copy, so that a bad line leaves the caller's configuration whole. */
    struct config copy = *c;
    struct reading rd = {.config = &copy, .e = e};
    int line = ini_parse_file(f, on_line, &rd);
    if (rd.result < 0)
        return err_wrap(e, rd.result, "%s:%d", path, line);
    if (line)
        return err_set(e, ERR_INVALID, "%s:%d: neither [section] nor key = value", path, line);
    *c = copy;
    return 0;
}

int config_set(struct config *c, const char *assignment, struct err *e)
{
    char text[2 * CONFIG_TEXT_SIZE];
    if (snprintf(text, sizeof(text), "%s", assignment) >= (int)sizeof(text))
        return err_set(e, ERR_INVALID, "--set: too long");
    char *eq = strchr(text, '=');
    char *dot = eq ? memchr(text, '.', (size_t)(eq - text)) : NULL;
    if (!dot)
        return err_set(e, ERR_INVALID, "--set takes section.key=value, not \"%s\"", assignment);
    *eq = *dot = '\0';
    return set_option(c, text, dot + 1, eq + 1, e);
}

int config_read_environment(struct config *c, struct err *e)
{
    static const struct {
        const char *name, *section, *key;
    } rows[] = {
        {"ADMIN_EMAIL", "admin", "email"},
        {"ADMIN_PASSWORD", "admin", "password"},
        {"API_KEY", "rds", "api_key"},
        {"AWS_ACCESS_KEY_ID", "s3", "access_key"},
        {"AWS_SECRET_ACCESS_KEY", "s3", "secret_key"},
        {"AWS_DEFAULT_REGION", "s3", "region"},
        {"S3_BUCKET", "s3", "bucket"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char *value = getenv(rows[i].name);
        int r = value && *value ? set_option(c, rows[i].section, rows[i].key, value, e) : 0;
        if (r < 0)
            return err_wrap(e, r, "%s", rows[i].name);
        if (value)
            explicit_bzero(value, strlen(value)); /* /proc/PID/environ shows that memory */
        unsetenv(rows[i].name);
    }
    return 0;
}

void config_wipe_secrets(struct config *c)
{
    explicit_bzero(c->admin_password, sizeof(c->admin_password));
    explicit_bzero(c->rds_api_key, sizeof(c->rds_api_key));
    explicit_bzero(c->s3_secret_key, sizeof(c->s3_secret_key));
}

bool config_pool_is_named(const struct config *c, const char *language)
{
    for (int i = 0; i < c->n_pools; i++) {
        if (strcmp(c->pools[i].language, language) == 0)
            return true;
    }
    return false;
}

int config_pool_size(const struct config *c, const char *language)
{
    for (int i = 0; i < c->n_pools; i++) {
        if (strcmp(c->pools[i].language, language) == 0)
            return c->pools[i].size;
    }
    return c->pool_default;
}

void config_print(struct buf *ret)
{
    const char *section = "";
    buf_printf(ret, "# Configuration of holmd. Every option is shown with its default.\n");
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        const struct option *o = &options[i];
        if (strcmp(section, o->section) != 0)
            buf_printf(ret, "\n[%s]\n", o->section);
        section = o->section;
        buf_printf(ret, "\n");
        for (const char *p = o->doc; *p;) {
            int len = (int)strcspn(p, "\n");
            buf_printf(ret, "# %.*s\n", len, p);
            p += len + (p[len] == '\n');
        }
        buf_printf(ret, "%s = %s\n", o->key, o->fallback);
    }
}
