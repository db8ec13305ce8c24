/* SPDX-License-Identifier: Apache-2.0 */

/* For jail_test: tries what a monitor that was broken into would try, and prints a line for each
 * attempt: "NAME yes" when it worked, "NAME no" when it was refused. Run with and without the jail.
 *
 *     jail-probe OTHER_FILE TEMPLATE_FILE HOST_PID LOOPBACK_PORT */

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void tell(const char *name, int worked)
{
    printf("%s %s\n", name, worked ? "yes" : "no");
}

static int can_connect(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((unsigned short)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
}

static int can_attach(pid_t pid)
{
    if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) < 0)
        return 0;
    ptrace(PTRACE_DETACH, pid, NULL, NULL);
    return 1;
}

static int has_capability(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct d[2] = {0};
    syscall(SYS_capget, &header, d);
    return d[0].effective || d[0].permitted || d[0].inheritable || d[1].effective ||
           d[1].permitted || d[1].inheritable || prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN) == 1;
}

/* Names in / that a jail does not have. */
static int sees_host_root(void)
{
    int found = 0;
    DIR *d = opendir("/");
    for (struct dirent *de; d && (de = readdir(d));)
        found |= strcmp(de->d_name, "proc") == 0 || strcmp(de->d_name, "root") == 0 ||
                 strcmp(de->d_name, "var") == 0 || strcmp(de->d_name, "sys") == 0;
    return found;
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    pid_t pid = (pid_t)atoi(argv[3]);
    char host[64] = "";
    gethostname(host, sizeof(host));
    setvbuf(stdout, NULL, _IOLBF, 0);
    tell("read-other", open(argv[1], O_RDONLY) >= 0);
    tell("read-passwd", open("/etc/passwd", O_RDONLY) >= 0);
    tell("write-template", open(argv[2], O_WRONLY) >= 0);
    tell("write-fd", write(4, "x", 1) == 1); /* the first descriptor given, opened read-only */
    tell("read-fd", read(4, &(char){0}, 1) == 1);
    tell("write-root", mkdir("/usr/jail-probe", 0700) == 0 || mkdir("/jail-probe", 0700) == 0);
    tell("see-root", sees_host_root());
    tell("signal", kill(pid, 0) == 0);
    tell("ptrace", can_attach(pid));
    tell("connect", can_connect(atoi(argv[4])));
    tell("capability", has_capability());
    tell("setuid", setuid(0) == 0);
    tell("setgid", setgid(0) == 0);
    tell("mount", mount("x", "/usr", "tmpfs", MS_RDONLY, NULL) == 0 && umount("/usr") == 0);
    tell("mknod", mknod("/tmp/jail-probe", S_IFCHR | 0600, 0x103) == 0);
    tell("new-namespace", unshare(CLONE_NEWNS) == 0);
    tell("gain", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
    tell("groups", getgroups(0, NULL) > 0);
    tell("host-name", strcmp(host, "holm") != 0);
    tell("first-process", getpid() == 1);
    rmdir("/usr/jail-probe");
    rmdir("/jail-probe");
    unlink("/tmp/jail-probe");
    return 0;
}
