/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/init.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/guest.h"
#include "agent/init_net.h"
#include "agent/port.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"

#define MODULES_DIR "/modules"
#define NEW_ROOT "/newroot"
#define ROOT_WAIT_MS 60000
#define OPTION_SIZE 256
#define MODULES_MAX 64

struct options {
    char root[OPTION_SIZE];
    char init[OPTION_SIZE]; /* "": look for one */
};

/* A mount to make, or with `type` NULL one to move into the new root. */
struct mount_row {
    const char *type;
    const char *target;
    unsigned long flags;
    const char *data;
};

static const struct mount_row early_mounts[] = {
    {"devtmpfs", "/dev", MS_NOSUID, "mode=0755"},
    {"proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
    {"sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
};

/* favordynmods makes it cheap to put a process into a group; kernels before 6.0 lack it. */
static const struct mount_row cgroup_mounts[] = {
    {"cgroup2", "/sys/fs/cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, "nsdelegate,favordynmods"},
    {"cgroup2", "/sys/fs/cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, "nsdelegate"},
};

/* What an init of the image would mount. */
static const struct mount_row late_mounts[] = {
    {"devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "mode=0620,gid=5,ptmxmode=0666"},
    {"tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777"},
    {"tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755"},
};

static int mount_one(const struct mount_row *m)
{
    if (mkdir(m->target, 0755) < 0 && errno != EEXIST && errno != EROFS)
        return -errno;
    return mount(m->type, m->target, m->type, m->flags, m->data) < 0 ? -errno : 0;
}

/* A missing mount costs a program something; it is no reason not to start. */
static void mount_all(const struct mount_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int r = mount_one(&rows[i]);
        if (r < 0)
            log_warn("init", "mount %s: %s", rows[i].target, strerror(-r));
    }
}

/* The kernel's messages of lower levels would only slow a serial console down. */
static void open_console(void)
{
    int fd = open("/dev/console", O_RDWR | O_NOCTTY);
    if (fd < 0)
        fd = open("/dev/null", O_RDWR);
    for (int i = 0; fd >= 0 && i < 3; i++)
        if (fd != i)
            dup2(fd, i);
    if (fd > 2)
        close(fd);
    klogctl(8 /* console level */, NULL, 4 /* errors and worse */);
}

static void read_options(struct options *ret)
{
    auto_buf struct buf line = {0};
    *ret = (struct options){.root = "/dev/vda"};
    if (file_read("/proc/cmdline", &line, 4096) < 0)
        return;
    char *rest = line.data;
    for (char *word; (word = strsep(&rest, " \n"));) {
        if (strncmp(word, "holm.root=", 10) == 0)
            snprintf(ret->root, sizeof(ret->root), "%s", word + 10);
        if (strncmp(word, "holm.init=", 10) == 0)
            snprintf(ret->init, sizeof(ret->init), "%s", word + 10);
    }
}

static int load_module(const char *name)
{
    char path[512];
    int r = path_printf(path, sizeof(path), MODULES_DIR "/%s", name);
    auto_close int fd = r < 0 ? r : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return r < 0 ? r : -errno;
    if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST)
        return -errno;
    return 0;
}

static int is_module(const struct dirent *de)
{
    size_t len = strlen(de->d_name);
    return len > 3 && strcmp(de->d_name + len - 3, ".ko") == 0;
}

/* In the order of their names, which is that of their needs. */
static void load_modules(void)
{
    struct dirent **list;
    int n = scandir(MODULES_DIR, &list, is_module, alphasort);
    for (int i = 0; i < n; i++) {
        int r = load_module(list[i]->d_name);
        if (r < 0)
            log_warn("init", "module %s: %s", list[i]->d_name, strerror(-r));
        free(list[i]);
    }
    if (n >= 0)
        free(list);
}

static bool is_block_device(void *arg)
{
    struct stat st;
    return stat(arg, &st) == 0 && S_ISBLK(st.st_mode);
}

static int mount_root(char *device, int events_fd)
{
    int r = port_wait(events_fd, clock_mono_ms() + ROOT_WAIT_MS, is_block_device, device);
    if (r >= 0 && mkdir(NEW_ROOT, 0755) < 0 && errno != EEXIST)
        r = -errno;
    if (r >= 0 && mount(device, NEW_ROOT, "ext4", MS_NOATIME, NULL) < 0)
        r = -errno;
    if (r < 0)
        log_error("init", "mount root %s: %s", device, strerror(-r));
    return r;
}

/* The initramfs lives in memory that nobody can use for anything else. Ours goes on existing, being
 * executed, when its name is gone. */
static void free_initramfs(void)
{
    dir_remove(MODULES_DIR);
    unlink("/init");
}

static int switch_root(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(early_mounts); i++) {
        char target[64];
        snprintf(target, sizeof(target), NEW_ROOT "%s", early_mounts[i].target);
        if (mkdir(target, 0755) < 0 && errno != EEXIST)
            return -errno;
        if (mount(early_mounts[i].target, target, NULL, MS_MOVE, NULL) < 0)
            return -errno;
    }
    free_initramfs();
    if (chdir(NEW_ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
        chdir("/") < 0)
        return -errno;
    return 0;
}

static void set_hostname(void)
{
    auto_buf struct buf name = {0};
    if (file_read("/etc/hostname", &name, 256) < 0)
        return;
    size_t len = strcspn(buf_str(&name), " \t\r\n");
    if (len > 0 && sethostname(name.data, len) < 0)
        log_warn("init", "hostname: %m");
}

static const char *find_init(const struct options *o)
{
    static const char *const names[] = {"/sbin/init", "/usr/lib/systemd/systemd",
                                        "/lib/systemd/systemd", "/etc/init", "/bin/init"};
    if (strcmp(o->init, "none") == 0)
        return NULL;
    if (o->init[0])
        return o->init;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (access(names[i], X_OK) == 0)
            return names[i];
    return NULL;
}

/* The agent beside the image's init. systemd spares processes whose name begins with "@" when it
 * ends all others at shutdown. */
static _Noreturn void serve_beside(char *argv0)
{
    static const char name[] = "@holm";
    setsid();
    if (strlen(argv0) >= strlen(name))
        snprintf(argv0, strlen(argv0) + 1, "%s", name);
    prctl(PR_SET_NAME, "holm-agent");
    guest_harden(true);
    _exit(guest_serve(REPORT_INIT_IMAGE) < 0);
}

static int hand_over(const char *init, char *argv0)
{
    char *const argv[] = {(char *)(uintptr_t)init, NULL};
    char *const env[] = {(char *)(uintptr_t) "HOME=/", (char *)(uintptr_t) "TERM=linux", NULL};
    pid_t pid = fork();
    if (pid == 0)
        serve_beside(argv0);
    if (pid < 0)
        return -errno;
    execve(init, argv, env);
    int r = -errno;
    log_error("init", "%s: %s", init, strerror(-r));
    return r;
}

/* What udev would add to the kernel's /dev. bash's <(...) is a file in /dev/fd. */
static void make_links(void)
{
    static const char *const links[][2] = {
        {"/proc/self/fd", "/dev/fd"},
        {"/proc/self/fd/0", "/dev/stdin"},
        {"/proc/self/fd/1", "/dev/stdout"},
        {"/proc/self/fd/2", "/dev/stderr"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
        if (symlink(links[i][0], links[i][1]) < 0 && errno != EEXIST)
            log_warn("init", "symlink %s: %m", links[i][1]);
    }
}

static int serve_as_init(void)
{
    mount_all(late_mounts, ARRAY_SIZE(late_mounts));
    make_links();
    if (mkdir("/tmp", 01777) == 0)
        chmod("/tmp", 01777);
    reboot(RB_DISABLE_CAD); /* Ctrl-Alt-Del becomes SIGINT */
    prctl(PR_SET_NAME, "holm-agent");
    guest_harden(false); /* process 1 is exempt by itself */
    return guest_serve(REPORT_INIT_AGENT);
}

/* Up to the root file system; what is only needed for it is released again. */
static int enter_root(const struct options *o)
{
    char device[OPTION_SIZE];
    auto_close int events = port_events_open();
    if (events < 0)
        return events;
    snprintf(device, sizeof(device), "%s", o->root);
    load_modules();
    int r = mount_root(device, events);
    return r < 0 ? r : switch_root();
}

/* QEMU's software CPU keeps the code that it has translated by its virtual address. Addresses that
 * differ from run to run make it translate every program anew each time: /bin/true took 75 ms
 * instead of 9. A guest that wants them random can write the sysctl. */
static void settle_addresses(void)
{
    static const char tcg[] = "TCGTCGTCGTCG";
    unsigned eax, signature[3];
    __cpuid(0x40000000, eax, signature[0], signature[1], signature[2]);
    if (memcmp(signature, tcg, sizeof(signature)) != 0)
        return;
    auto_close int fd = open("/proc/sys/kernel/randomize_va_space", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "0", 1) < 0)
        log_warn("init", "randomize_va_space: %m");
}

int init_main(char *argv0)
{
    /* What systemd gives to its services; the kernel's own is 1024 and 4096. */
    static const struct rlimit open_files = {1024, 524288};
    struct options options;
    mount_all(early_mounts, ARRAY_SIZE(early_mounts));
    open_console();
    read_options(&options);
    int r = enter_root(&options);
    if (r < 0)
        return r;
    if (mount_one(&cgroup_mounts[0]) < 0)
        mount_all(&cgroup_mounts[1], 1);
    setrlimit(RLIMIT_NOFILE, &open_files);
    set_hostname();
    init_net();
    settle_addresses();
    const char *init = find_init(&options);
    return init ? hand_over(init, argv0) : serve_as_init();
}
