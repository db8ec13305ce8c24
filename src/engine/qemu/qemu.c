/* SPDX-License-Identifier: Apache-2.0 */

/* The qemu engine: one qemu-system-x86_64 process a VM. What is in a VM's directory:
 *
 *     memory, delta, extents
 *                           what its RAM is a private mapping of: hard links to the template's
 *                           files (see pages.h) or, at boot, an empty sparse file
 *     layer-*               its disk, see layers.h
 *     agent.sock, qmp.sock, console.sock
 *                           listening sockets that the monitor inherited
 *     monitor.log           the monitor's stderr
 *
 * The monitor opens none of these by name; all are inherited descriptors. */

#include "engine/qemu/qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "engine/qemu/args.h"
#include "engine/qemu/disk.h"
#include "engine/qemu/launch.h"
#include "engine/qemu/layers.h"
#include "engine/qemu/pages.h"
#include "engine/qemu/sockets.h"

#define SOCKET_BACKLOG 16

static int find_binary(const char *name, char ret[PATH_MAX], struct err *e)
{
    if (strchr(name, '/')) {
        if (!realpath(name, ret) || access(ret, X_OK) < 0)
            return err_set(e, ERR_UNAVAILABLE, "%s cannot be run: %s", name, strerror(errno));
        return 0;
    }
    static const char *const places[] = {"/usr/local/bin", "/usr/bin"};
    for (size_t i = 0; i < ARRAY_SIZE(places); i++)
        if (path_printf(ret, PATH_MAX, "%s/%s", places[i], name) == 0 && access(ret, X_OK) == 0)
            return 0;
    return err_set(e, ERR_UNAVAILABLE,
                   "%s was not found in /usr/bin: install the package qemu-system-x86", name);
}

/* "QEMU emulator version X (Y)\n..." -> "X (Y)" */
static int ask_version(struct qemu *qemu, struct err *e)
{
    static const char lead[] = "QEMU emulator version ";
    auto_buf struct buf out = {0};
    const char *const argv[] = {qemu->binary, "-version", NULL};
    int r = proc_run(argv, ENGINE_LAUNCH_TIMEOUT_MS, &out, e);
    if (r < 0)
        return r;
    const char *text = buf_str(&out), *at = strstr(text, lead);
    if (!at)
        return err_set(e, ERR_UNAVAILABLE, "%s is not QEMU", qemu->binary);
    at += strlen(lead);
    snprintf(qemu->version, sizeof(qemu->version), "%.*s", (int)strcspn(at, "\n"), at);
    return 0;
}

/* Under KVM a guest sees the host's CPU, and a template taken on one model may not run on another.
 */
static void host_cpu(char *ret, size_t size)
{
    auto_buf struct buf info = {0};
    (void)file_read("/proc/cpuinfo", &info, 64 * KIB);
    const char *at = strstr(buf_str(&info), "model name");
    at = at ? strchr(at, ':') : NULL;
    snprintf(ret, size, "%.*s", at ? (int)strcspn(at + 2, "\n") : 7, at ? at + 2 : "unknown");
}

static void qemu_free(struct engine *en)
{
    struct qemu *qemu = en->data;
    sums_done(&qemu->sums);
    free(en->data);
    en->data = NULL;
}

static int qemu_init(struct engine *en, struct err *e)
{
    auto_free struct qemu *qemu = calloc(1, sizeof(*qemu));
    if (!qemu)
        return err_errno(e, -ENOMEM, "engine");
    int r = find_binary(en->config.qemu_binary, qemu->binary, e);
    if (r == 0)
        r = ask_version(qemu, e);
    if (r == 0)
        r = accel_choose(en->config.accel, en->config.helper_dir, &qemu->accel, e);
    if (r < 0)
        return r;
    en->accel = qemu->accel.kvm ? "kvm" : "tcg";
    char cpu[80] = "";
    if (qemu->accel.kvm)
        host_cpu(cpu, sizeof(cpu));
    snprintf(qemu->fingerprint, sizeof(qemu->fingerprint), "qemu %s %s args=%d%s%s", qemu->version,
             args_machine_word(qemu->accel.kvm), ARGS_VERSION, *cpu ? " cpu=" : "", cpu);
    cgroup_find(en->config.cgroup_root, &qemu->cgroups);
    sums_init(&qemu->sums);
    en->data = TAKE_PTR(qemu);
    return 0;
}

/* What a start needs from making the descriptors to building the command line. */
struct start {
    struct launch launch;
    struct args_spec args;
    struct layers chain;
    int layer_fds[ENGINE_LAYERS_MAX + 1];
};

static void start_done(struct start *s)
{
    launch_done(&s->launch);
}

static int give_socket(struct start *s, const char *vm_dir, const char *name, int *ret,
                       struct err *e)
{
    char path[PATH_MAX];
    int r = path_printf(path, sizeof(path), "%s/%s", vm_dir, name);
    auto_close int fd = r < 0 ? r : unix_listen(path, 0600, SOCKET_BACKLOG);
    if (fd < 0)
        return err_errno(e, fd, "listen on %s/%s", vm_dir, name);
    *ret = launch_give(&s->launch, fd, e);
    return *ret < 0 ? *ret : 0;
}

/* Opens the layers in vm_dir for the monitor; the last one both ways. */
static int give_layers(struct start *s, const char *vm_dir, struct err *e)
{
    char path[PATH_MAX];
    uint64_t disk_bytes;
    int r = layers_disk_bytes(vm_dir, layers_top(&s->chain), &disk_bytes, e);
    if (r < 0)
        return r;
    s->launch.file_bytes = layers_file_max_bytes(disk_bytes);
    s->args.chain = &s->chain;
    s->args.layer_fds = s->layer_fds;
    for (int i = 0; i < s->chain.n; i++) {
        r = layers_path(vm_dir, s->chain.number[i], path, e);
        if (r < 0)
            return r;
        int flags = i == s->chain.n - 1 ? O_RDWR : O_RDONLY;
        s->layer_fds[i] = launch_give_file(&s->launch, path, flags, e);
        if (s->layer_fds[i] < 0)
            return s->layer_fds[i];
    }
    s->args.top_read_fd = launch_give_file(&s->launch, path, O_RDONLY, e);
    return s->args.top_read_fd < 0 ? s->args.top_read_fd : 0;
}

/* Shows the monitor the files in vm_dir that its memory is a mapping of. */
static int show_memory(struct start *s, const char *vm_dir, bool delta, struct err *e)
{
    static const char *const files[][2] = {{PAGES_MEMORY, ARGS_MEMORY_NAME},
                                           {PAGES_DELTA, ARGS_DELTA_NAME},
                                           {PAGES_EXTENTS, ARGS_EXTENTS_NAME}};
    int r = 0;
    for (size_t i = 0; r == 0 && i < (delta ? ARRAY_SIZE(files) : 1); i++) {
        char path[PATH_MAX];
        r = path_printf(path, sizeof(path), "%s/%s", vm_dir, files[i][0]);
        r = r < 0 ? err_errno(e, r, "%s", vm_dir)
                  : launch_show(&s->launch, path, O_RDONLY, files[i][1], e);
    }
    return r;
}

/* A tap with headers of its own before each packet would make the saved network card one that only
 * such taps can take over. */
static int give_tap(struct start *s, int fd, struct err *e)
{
    struct ifreq ifr = {0};
    s->args.tap_fd = -1;
    if (fd <= 0)
        return 0;
    if (ioctl(fd, TUNGETIFF, &ifr) < 0)
        return err_errno(e, -errno, "the network's descriptor is not a tap device");
    if (!(ifr.ifr_flags & IFF_TAP) || ifr.ifr_flags & IFF_VNET_HDR)
        return err_set(e, ERR_INTERNAL, "the network's device %s is not a plain tap", ifr.ifr_name);
    s->args.tap_fd = launch_give(&s->launch, fd, e);
    return s->args.tap_fd < 0 ? s->args.tap_fd : 0;
}

/* What a boot and a restore have in common, once the files are in vm_dir. */
static int give_common(struct engine *en, struct start *s, const struct vm_spec *spec,
                       struct err *e)
{
    const struct qemu *qemu = en->data;
    s->args.shape = spec->shape;
    s->args.kvm = qemu->accel.kvm;
    s->args.ephemeral = spec->ephemeral;
    int r = 0;
    if (qemu->accel.kvm)
        r = launch_show(&s->launch, "/dev/kvm", O_RDWR, "/dev/kvm", e);
    if (r == 0)
        r = give_socket(s, spec->vm_dir, SOCKETS_AGENT, &s->args.agent_fd, e);
    if (r == 0)
        r = give_socket(s, spec->vm_dir, SOCKETS_QMP, &s->args.qmp_fd, e);
    if (r == 0)
        r = give_socket(s, spec->vm_dir, SOCKETS_CONSOLE, &s->args.console_fd, e);
    if (r == 0)
        r = give_tap(s, spec->tap_fd, e);
    return r < 0 ? r : give_layers(s, spec->vm_dir, e);
}

/* Builds the command line and starts it; on failure the VM's groups are gone again. */
static int run(struct engine *en, struct start *s, const struct vm_spec *spec, struct monitor *ret,
               struct err *e)
{
    const struct qemu *qemu = en->data;
    struct launch *l = &s->launch;
    int overhead_mib = ENGINE_OVERHEAD_MIB + (qemu->accel.kvm ? 0 : ENGINE_TCG_CACHE_MIB);
    l->helper_dir = en->config.helper_dir;
    l->vm_dir = spec->vm_dir;
    l->jail = en->config.jail && spec->uid != 0;
    l->uid = spec->uid;
    argv_add(&l->program, "%s", qemu->binary);
    args_build(&l->program, &s->args);
    cgroup_make(&qemu->cgroups, spec->id, &spec->shape, overhead_mib, &l->cgroups);
    struct monitor m = {.uid = spec->uid, .shape = spec->shape};
    int r = path_printf(m.vm_dir, sizeof(m.vm_dir), "%s", spec->vm_dir);
    memcpy(m.id, spec->id, ID_LEN);
    if (r < 0)
        err_errno(e, r, "%s", spec->vm_dir);
    else
        r = launch_run(l, &m.proc, e);
    if (r < 0)
        (void)cgroup_remove(&qemu->cgroups, spec->id, NULL);
    else
        *ret = m;
    return r;
}

/* Empty memory; what a former monitor had is removed. */
static int make_memory(const struct vm_spec *spec, struct err *e)
{
    static const char *const names[] = {PAGES_MEMORY, PAGES_DELTA, PAGES_EXTENTS};
    char path[PATH_MAX];
    for (size_t i = ARRAY_SIZE(names); i-- > 0;) {
        int r = path_printf(path, sizeof(path), "%s/%s", spec->vm_dir, names[i]);
        if (r < 0 || (unlink(path) < 0 && errno != ENOENT))
            return err_errno(e, r < 0 ? r : -errno, "remove %s", path);
    }
    auto_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)((uint64_t)spec->shape.memory_mib * MIB)) < 0)
        return err_errno(e, -errno, "make %s", path);
    return 0;
}

/* A new disk on the image, or the one that is there, which may grow. */
static int prepare_disk(struct start *s, const struct vm_spec *spec, struct err *e)
{
    char path[PATH_MAX];
    uint64_t disk_bytes;
    if (spec->rootfs) {
        s->chain = (struct layers){.n = 1};
        int r = layers_path(spec->vm_dir, 0, path, e);
        if (r == 0)
            r = layers_link_file(spec->rootfs, path, e);
        return r < 0 ? r : layers_push(spec->vm_dir, &s->chain, spec->disk_bytes, e);
    }
    int r = layers_find(spec->vm_dir, &s->chain, e);
    if (r == 0)
        r = layers_disk_bytes(spec->vm_dir, layers_top(&s->chain), &disk_bytes, e);
    if (r < 0)
        return r;
    layers_tidy(spec->vm_dir, &s->chain);
    if (spec->disk_bytes == 0 || spec->disk_bytes == disk_bytes)
        return 0;
    return layers_push(spec->vm_dir, &s->chain, spec->disk_bytes, e);
}

static int prepare_boot(struct start *s, const struct vm_spec *spec, struct err *e)
{
    int r = make_memory(spec, e);
    if (r == 0)
        r = prepare_disk(s, spec, e);
    if (r == 0)
        r = show_memory(s, spec->vm_dir, false, e);
    if (r == 0)
        r = launch_show(&s->launch, spec->kernel, O_RDONLY, ARGS_KERNEL_NAME, e);
    if (r == 0)
        r = launch_show(&s->launch, spec->initrd, O_RDONLY, ARGS_INITRD_NAME, e);
    s->args.state_fd = -1;
    return r;
}

static int qemu_boot(struct engine *en, const struct vm_spec *spec, struct monitor *ret,
                     struct err *e)
{
    CLEANUP(start_done) struct start s = {0};
    int r = prepare_boot(&s, spec, e);
    if (r == 0)
        r = give_common(en, &s, spec, e);
    if (r == 0)
        r = run(en, &s, spec, ret, e);
    return r < 0 ? err_wrap(e, r, "boot") : 0;
}

static int check_shape(const struct manifest *m, const struct vm_spec *spec, struct err *e)
{
    if (m->shape.vcpus == spec->shape.vcpus && m->shape.memory_mib == spec->shape.memory_mib)
        return 0;
    return err_set(e, ERR_CONFLICT, "the template has %d vCPUs and %d MiB, not %d and %d",
                   m->shape.vcpus, m->shape.memory_mib, spec->shape.vcpus, spec->shape.memory_mib);
}

static int link_memory(const struct vm_spec *spec, bool delta, struct err *e)
{
    static const char *const names[] = {PAGES_MEMORY, PAGES_DELTA, PAGES_EXTENTS};
    int r = 0;
    for (size_t i = 0; r == 0 && i < (delta ? ARRAY_SIZE(names) : 1); i++) {
        char from[PATH_MAX], to[PATH_MAX];
        if (path_printf(from, sizeof(from), "%s/%s", spec->template_dir, names[i]) < 0 ||
            path_printf(to, sizeof(to), "%s/%s", spec->vm_dir, names[i]) < 0)
            return err_errno(e, -ENAMETOOLONG, "%s", spec->template_dir);
        r = layers_link_file(from, to, e);
    }
    return r;
}

static int prepare_restore(struct engine *en, struct start *s, const struct vm_spec *spec,
                           struct err *e)
{
    struct qemu *qemu = en->data;
    struct manifest m;
    char state[PATH_MAX];
    int r = manifest_load(spec->template_dir, qemu->fingerprint, &qemu->sums, &m, e);
    if (r == 0)
        r = check_shape(&m, spec, e);
    if (r < 0)
        return r;
    s->chain = m.chain;
    r = link_memory(spec, m.delta, e);
    if (r == 0)
        r = layers_link(spec->template_dir, spec->vm_dir, &s->chain, e);
    if (r == 0)
        r = layers_push(spec->vm_dir, &s->chain, 0, e);
    if (r == 0)
        r = show_memory(s, spec->vm_dir, m.delta, e);
    if (r == 0 && path_printf(state, sizeof(state), "%s/" MANIFEST_STATE, spec->template_dir) < 0)
        r = err_errno(e, -ENAMETOOLONG, "%s", spec->template_dir);
    if (r < 0)
        return r;
    s->args.state_fd = launch_give_file(&s->launch, state, O_RDONLY, e);
    return s->args.state_fd < 0 ? s->args.state_fd : 0;
}

static int qemu_restore(struct engine *en, const struct vm_spec *spec, struct monitor *ret,
                        struct err *e)
{
    CLEANUP(start_done) struct start s = {0};
    int r = prepare_restore(en, &s, spec, e);
    if (r == 0)
        r = give_common(en, &s, spec, e);
    if (r == 0)
        r = run(en, &s, spec, ret, e);
    return r < 0 ? err_wrap(e, r, "restore") : 0;
}

/* Whether the process still runs; an ended child of ours is reaped. */
static bool has_ended(const struct monitor *m)
{
    auto_close int pidfd = proc_ref_open(&m->proc);
    return pidfd < 0 ? pidfd == -ESRCH : proc_wait(pidfd, 0, NULL) == 0;
}

/* Turns "cannot be reached" into why, when the reason is that the monitor has ended. */
static int explain(const struct monitor *m, int r, struct err *e)
{
    char words[256];
    if (r >= 0 || !has_ended(m))
        return r;
    launch_last_words(m->vm_dir, words, sizeof(words));
    return err_set(e, ERR_UNAVAILABLE, "the monitor has ended%s%s", *words ? ": " : "", words);
}

int qemu_connect(const struct monitor *m, struct qmp *ret, struct err *e)
{
    char path[PATH_MAX];
    int r = path_printf(path, sizeof(path), "%s/" SOCKETS_QMP, m->vm_dir);
    if (r < 0)
        return err_errno(e, r, "%s", m->vm_dir);
    return explain(m, qmp_connect(ret, path, ENGINE_QMP_TIMEOUT_MS, e), e);
}

static int command(const struct monitor *m, const char *name, struct err *e)
{
    auto_qmp struct qmp q = QMP_INIT;
    int r = qemu_connect(m, &q, e);
    if (r == 0)
        r = explain(m, qmp_run(&q, name, NULL, NULL, e), e);
    return r < 0 ? err_wrap(e, r, "%s", name) : 0;
}

static int qemu_pause(struct engine *en, const struct monitor *m, struct err *e)
{
    return command(m, "stop", e);
}

static int qemu_resume(struct engine *en, const struct monitor *m, struct err *e)
{
    return command(m, "cont", e);
}

static int qemu_power_button(struct engine *en, const struct monitor *m, struct err *e)
{
    return command(m, "system_powerdown", e);
}

static int qemu_state(struct engine *en, const struct monitor *m, enum monitor_state *ret,
                      struct err *e)
{
    auto_qmp struct qmp q = QMP_INIT;
    auto_json json_t *status = NULL;
    *ret = MONITOR_GONE;
    if (has_ended(m))
        return 0;
    int r = qemu_connect(m, &q, e);
    if (r == 0)
        r = qmp_run(&q, "query-status", NULL, &status, e);
    if (r < 0 && has_ended(m))
        return 0;
    if (r < 0)
        return err_wrap(e, r, "state");
    /* A monitor still loading its state will run as soon as it has. */
    const char *word = json_string_value(json_object_get(status, "status"));
    bool loading = word && strcmp(word, "inmigrate") == 0;
    *ret = loading || json_is_true(json_object_get(status, "running")) ? MONITOR_RUNNING
                                                                       : MONITOR_PAUSED;
    return 0;
}

/* Connects to one of the guest's sockets; `what` completes "cannot be reached". */
static int connect_guest(const struct monitor *m, const char *name, const char *what, struct err *e)
{
    char path[PATH_MAX];
    int r = path_printf(path, sizeof(path), "%s/%s", m->vm_dir, name);
    int fd = r < 0 ? r : sockets_connect(path, ENGINE_QMP_TIMEOUT_MS);
    if (fd < 0)
        r = err_set(e, ERR_UNAVAILABLE, "the guest's %s cannot be reached: %s", what,
                    strerror(-fd));
    return fd < 0 ? explain(m, r, e) : fd;
}

static int qemu_connect_agent(struct engine *en, const struct monitor *m, struct err *e)
{
    return connect_guest(m, SOCKETS_AGENT, "agent", e);
}

static int qemu_connect_console(struct engine *en, const struct monitor *m, struct err *e)
{
    return connect_guest(m, SOCKETS_CONSOLE, "console", e);
}

static int qemu_kill(struct engine *en, const struct monitor *m, struct err *e)
{
    static const char *const sockets[] = {SOCKETS_AGENT, SOCKETS_QMP, SOCKETS_CONSOLE};
    const struct qemu *qemu = en->data;
    auto_close int pidfd = proc_ref_open(&m->proc);
    int r = pidfd < 0 ? pidfd : proc_kill_wait(pidfd, ENGINE_KILL_TIMEOUT_MS);
    if (r < 0 && r != -ESRCH)
        return err_errno(e, r, "kill monitor %d", m->proc.pid);
    for (size_t i = 0; i < ARRAY_SIZE(sockets); i++) {
        char path[PATH_MAX];
        if (path_printf(path, sizeof(path), "%s/%s", m->vm_dir, sockets[i]) == 0)
            unlink(path);
    }
    return cgroup_remove(&qemu->cgroups, m->id, e);
}

static int qemu_fingerprint(struct engine *en, char *ret, size_t size, struct err *e)
{
    const struct qemu *qemu = en->data;
    int r = path_printf(ret, size, "%s", qemu->fingerprint);
    return r < 0 ? err_errno(e, r, "fingerprint") : 0;
}

const struct engine_ops engine_qemu_ops = {
    .name = "qemu",
    .init = qemu_init,
    .done = qemu_free,
    .boot = qemu_boot,
    .restore = qemu_restore,
    .pause = qemu_pause,
    .resume = qemu_resume,
    .capture = capture_run,
    .flatten = disk_flatten,
    .resize_disk = disk_resize,
    .power_button = qemu_power_button,
    .kill = qemu_kill,
    .state = qemu_state,
    .stats = stats_read,
    .connect_agent = qemu_connect_agent,
    .connect_console = qemu_connect_console,
    .fingerprint = qemu_fingerprint,
    .facts = facts_list,
};
