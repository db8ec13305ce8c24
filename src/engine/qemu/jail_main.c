/* SPDX-License-Identifier: Apache-2.0 */

/* holm-jail: becomes a monitor, locked up. A program of its own because a daemon with threads must
 * not run code between fork and exec; static and without any library but libc, since it runs at
 * each start of a VM.
 *
 *     holm-jail --fds N [--cgroup FILE]... [--root DIR --uid N --file-bytes N
 *               --memory-bytes N] [--bind FILE]... -- PROGRAM ARG...
 *
 * It joins the cgroups and unshares the namespaces, then makes a child that is a child of *its*
 * parent (CLONE_PARENT), reports that child's pid and is done. The child, process 1 of its own pid
 * namespace, goes on: a root directory with nothing but /usr read-only and the files of --bind, no
 * network, no host name, no capabilities, no way to get any back, a uid and gid of its own, bounds,
 * and only the first N descriptors. Without --root none of that happens; the process only gets a
 * session of its own.
 *
 * The order matters: mounts need CAP_SYS_ADMIN, the bounding set CAP_SETPCAP, the groups
 * CAP_SETGID; what takes each away comes after.
 *
 * Descriptor 3 is the report: "pid N" and, when a step fails, "error STEP: REASON". It closes with
 * the exec. The exit status means nothing. */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REPORT_FD 3
#define LISTS_MAX 8
#define OPEN_FILES_MAX 1024
#define LOCKED_READ_ONLY (MS_RDONLY | MS_NOSUID | MS_NODEV)

struct orders {
    unsigned fds; /* descriptors below this one stay open */
    const char *cgroups[LISTS_MAX];
    int n_cgroups;
    const char *binds[LISTS_MAX];
    int n_binds;
    const char *root; /* NULL: no jail */
    uid_t uid;
    rlim_t file_bytes;   /* how long a file can get that it writes */
    rlim_t memory_bytes; /* its address space; 0: no bound (a monitor has its cgroup) */
    char **program;
};

static void report(const char *text, int len)
{
    if (len > 0 && write(REPORT_FD, text, (size_t)len) < 0)
        _exit(126);
}

/* Ends this process, telling which step failed. */
static _Noreturn void fail(const char *step, const char *what)
{
    char text[512];
    int error = errno;
    int n = snprintf(text, sizeof(text), "error %s %s: %s\n", step, what, strerror(error));
    report(text, n < (int)sizeof(text) ? n : (int)sizeof(text) - 1);
    _exit(126);
}

static void check(int r, const char *step, const char *what)
{
    if (r < 0)
        fail(step, what);
}

static void parse(int argc, char **argv, struct orders *o)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *value = argv[i + 1];
        if (strcmp(argv[i], "--") == 0) {
            o->program = argv + i + 1;
            return;
        }
        if (strcmp(argv[i], "--fds") == 0)
            o->fds = (unsigned)atoi(value);
        else if (strcmp(argv[i], "--root") == 0)
            o->root = value;
        else if (strcmp(argv[i], "--uid") == 0)
            o->uid = (uid_t)strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--file-bytes") == 0)
            o->file_bytes = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--memory-bytes") == 0)
            o->memory_bytes = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--cgroup") == 0 && o->n_cgroups < LISTS_MAX)
            o->cgroups[o->n_cgroups++] = value;
        else if (strcmp(argv[i], "--bind") == 0 && o->n_binds < LISTS_MAX)
            o->binds[o->n_binds++] = value;
        else
            break;
    }
    errno = EINVAL;
    fail("understand", "the orders");
}

/* Before the child is made, which thereby is born inside. */
static void join_cgroups(const struct orders *o)
{
    for (int i = 0; i < o->n_cgroups; i++) {
        int fd = open(o->cgroups[i], O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, "0", 1) < 0)
            fail("join", o->cgroups[i]);
        close(fd);
    }
}

/* Shows `from` as `to`, read-only. */
static void bind_read_only(const char *from, const char *to)
{
    check(mount(from, to, NULL, MS_BIND, NULL), "bind", from);
    check(mount(NULL, to, NULL, MS_REMOUNT | MS_BIND | LOCKED_READ_ONLY, NULL), "lock", to);
}

static void bind_file(const char *from, const char *to)
{
    int fd = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0444);
    check(fd, "make", to);
    close(fd);
    bind_read_only(from, to);
}

/* /bin, /lib and the like: links into /usr on a merged system, directories of their own before. */
static void show_top_directory(const char *name)
{
    char from[64], target[PATH_MAX];
    snprintf(from, sizeof(from), "/%s", name);
    struct stat st;
    if (lstat(from, &st) < 0)
        return;
    if (S_ISLNK(st.st_mode)) {
        ssize_t n = readlink(from, target, sizeof(target) - 1);
        check((int)n, "read link", from);
        target[n] = '\0';
        check(symlink(target, name), "link", name);
    } else if (S_ISDIR(st.st_mode)) {
        check(mkdir(name, 0755), "make", name);
        bind_read_only(from, name);
    }
}

/* Makes "/" a mount of this namespace alone when it is none, that is, inside a chroot: neither
 * could mounts be kept from the host there nor could the root be pivoted. setns() to the namespace
 * we are in leads to its real root; from there the old root is cloned onto itself. The rest of the
 * host's tree stays in the namespace then, out of reach without a capability. */
static void leave_chroot(void)
{
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int ns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    check(root, "open", "the root");
    check(ns, "open", "/proc/self/ns/mnt");
    check(setns(ns, CLONE_NEWNS), "find", "the real root");
    check(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "privatise", "mounts");
    int tree = (int)syscall(SYS_open_tree, root, "",
                            OPEN_TREE_CLONE | AT_RECURSIVE | AT_EMPTY_PATH | OPEN_TREE_CLOEXEC);
    check(tree, "clone", "the root");
    check((int)syscall(SYS_move_mount, tree, "", root, "",
                       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH),
          "mount", "the root");
    check(fchdir(tree), "enter", "the root");
    check(chroot("."), "change", "the root");
    close(tree);
    close(ns);
    close(root);
}

/* Nothing that is mounted here may show up on the host. */
static void privatise_mounts(void)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
        return;
    if (errno != EINVAL)
        fail("privatise", "mounts");
    leave_chroot();
}

/* Builds the new root on top of o->root, a directory that it covers in this namespace only. */
static void enter_root(const struct orders *o)
{
    static const char *const tops[] = {"usr", "bin", "sbin", "lib", "lib32", "lib64"};
    int binds[LISTS_MAX];
    privatise_mounts();
    for (int i = 0; i < o->n_binds; i++) {
        /* Held open, since the new root may cover their names. */
        binds[i] = open(o->binds[i], O_PATH | O_CLOEXEC);
        check(binds[i], "open", o->binds[i]);
    }
    check(mount("holm-jail", o->root, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                "size=64k,nr_inodes=64,mode=0755"),
          "mount", o->root);
    check(chdir(o->root), "enter", o->root);
    for (size_t i = 0; i < sizeof(tops) / sizeof(tops[0]); i++)
        show_top_directory(tops[i]);
    check(mkdir("etc", 0755), "make", "etc");
    /* Not needed, but it saves the dynamic linker a search; read by the monitor's uid. */
    if (access("/etc/ld.so.cache", R_OK) == 0)
        bind_file("/etc/ld.so.cache", "etc/ld.so.cache");
    for (int i = 0; i < o->n_binds; i++) {
        char from[64];
        snprintf(from, sizeof(from), "/proc/self/fd/%d", binds[i]);
        bind_file(from, strrchr(o->binds[i], '/') + 1);
        close(binds[i]);
    }
    check(mount(NULL, ".", NULL, MS_REMOUNT | MS_BIND | MS_NOEXEC | LOCKED_READ_ONLY, NULL), "lock",
          "root");
    /* Old root on top of the new one, then away with it: no directory is needed to park it. */
    check((int)syscall(SYS_pivot_root, ".", "."), "pivot to", o->root);
    check(umount2(".", MNT_DETACH), "leave", "the old root");
    check(chdir("/"), "enter", "/");
}

static void set_bounds(const struct orders *o)
{
    const struct rlimit memory = {o->memory_bytes, o->memory_bytes};
    const struct {
        int what;
        struct rlimit limit;
    } bounds[] = {
        {RLIMIT_NOFILE, {OPEN_FILES_MAX, OPEN_FILES_MAX}},
        {RLIMIT_CORE, {0, 0}},
        {RLIMIT_MSGQUEUE, {0, 0}},
        /* Its disk layers and its log are all it can write; a broken-into monitor shall not fill
         * the host with one of them. As process 1 it gets EFBIG, no signal. */
        {RLIMIT_FSIZE, {o->file_bytes, o->file_bytes}},
        {RLIMIT_NPROC, {512, 512}}, /* counted per uid, which no one else has */
    };
    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++)
        check(setrlimit(bounds[i].what, &bounds[i].limit), "set", "resource limits");
    if (o->memory_bytes)
        check(setrlimit(RLIMIT_AS, &memory), "set", "the bound of memory");
    umask(077);
}

static void become_nobody(uid_t uid)
{
    /* Root's magic off for good: no exec and no change of uid brings a capability. */
    const unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
                               SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                               SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
    check(prctl(PR_SET_SECUREBITS, bits), "lock", "secure bits");
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
        check(prctl(PR_CAPBSET_DROP, cap), "drop", "bounding set");
    check(setgroups(0, NULL), "drop", "groups");
    check(setresgid(uid, uid, uid), "set", "gid");
    check(setresuid(uid, uid, uid), "set", "uid");
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {0};
    check((int)syscall(SYS_capset, &header, none), "drop", "capabilities");
    check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "set", "no_new_privs");
}

/* The kernel should end a VM before anything else on the host, and no key of our session is its
 * business. Neither is a wall: that one fails is no reason not to start. */
static void stand_back(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!write(fd, "500", 3);
        close(fd);
    }
    (void)syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
}

static _Noreturn void become_monitor(const struct orders *o)
{
    check(setsid(), "start", "session");
    if (o->root) {
        stand_back();
        enter_root(o);
        (void)!sethostname("holm", 4); /* cosmetic; a service manager may forbid it */
        set_bounds(o);
        become_nobody(o->uid);
    }
    check(close_range(o->fds, ~0u, 0), "close", "descriptors");
    check(fcntl(REPORT_FD, F_SETFD, FD_CLOEXEC), "mark", "report");
    execv(o->program[0], o->program);
    fail("run", o->program[0]);
}

int main(int argc, char **argv)
{
    struct orders o = {0};
    parse(argc, argv, &o);
    if (!o.program || !o.program[0] || o.fds <= REPORT_FD || (o.root && o.uid == 0)) {
        errno = EINVAL;
        fail("understand", "the orders");
    }
    join_cgroups(&o);
    if (o.root)
        check(unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
                      CLONE_NEWCGROUP),
              "unshare", "namespaces");
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL);
    check(pid, "make", "child");
    if (pid == 0)
        become_monitor(&o);
    char text[32];
    report(text, snprintf(text, sizeof(text), "pid %d\n", pid));
    return 0;
}
