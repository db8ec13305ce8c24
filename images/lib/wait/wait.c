/* SPDX-License-Identifier: Apache-2.0 */

/* Makes a program wait (docs/warm.md): preloaded into the *real* command of a language, it lets the
 * runtime start, and stops it at the first touch of the program's file. There it says ready, and
 * waits for the job that says what the program's environment and directory are. The file has been
 * put there meanwhile, so the call goes on, and the runtime runs the program as it always would.
 *
 * Variables of the environment say what to do; nothing of them is left when the program starts.
 *
 *   HOLM_WAIT           the file to wait for, a name in the directory that the program starts in
 *   HOLM_WAIT_LATE      if set: not before the file's first line is read
 *   HOLM_WAIT_EXE       the file name of the runtime, when scripts start it: they pass through
 *   HOLM_WAIT_TELL      if set: a hook of the runtime's own takes arguments and environment, see
 *                       below
 *   HOLM_WAIT_COMPILER  a shell command for what compiles the file: started here with jobs and
 *                       answers on descriptors 3 and 4 like any waiting program. A run is handed to
 *                       it first, and only if it ends well the program goes on
 *   HOLM_WAIT_REHEARSE  a shell command that runs the program cold, for rehearsals
 *   HOLM_WAIT_ALONE     a pattern of the shell: all starts over when more than one file fits it,
 *                       since the program has more sources than the compiler was told
 *   HOLM_WAIT_COLD_IF   a regular expression: all starts over when it is in the program's file and
 *                       there are arguments
 *   HOLM_WAIT_COLD      the shell command that starts over: a cold run
 *   HOLM_WAIT_BASE      our own: the environment before the scripts of HOLM_WAIT_EXE changed it
 *
 * A hook that takes arguments and environment touches the file, as any runtime does, and then reads
 * FILE.job, which is there for one open(). In it: the number of arguments, the arguments, the
 * variables, each with a NUL behind it. */

#include "wait.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <regex.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "job.h"

#define JOBS_FD 3
#define ANSWERS_FD 4
#define HIGH_FD 200 /* the two are moved here, so that others get the numbers they always get */
#define FAILED 125  /* exit code; a cold run never ends so because of us */

/* Separates the variables in HOLM_WAIT_BASE. */
#define BASE_SEPARATOR '\x1f'

struct peer {
    int jobs, answers; /* jobs go there, answers come from there; -1 */
    pid_t pid;
};

struct wait_command wait_command;

static struct {
    bool late, tells;
    int told;   /* a file in memory, or -1 */
    bool armed; /* atomic: others than the holding thread only look at it */
    char *file, *rehearse, *alone, *cold, *cold_if;
    char cwd[PATH_MAX];
    char **base;
    int jobs, answers;
    struct peer compiler;
    pthread_mutex_t lock; /* held while holding */
} w = {.told = -1, .jobs = -1, .answers = -1, .lock = PTHREAD_MUTEX_INITIALIZER};

_Noreturn void wait_fail(const char *what, int error)
{
    dprintf(2, "holm: waiting program: %s: %s\n", what, strerror(error));
    _exit(FAILED);
}

bool wait_is_for(const char *path)
{
    if (!__atomic_load_n(&w.armed, __ATOMIC_ACQUIRE) || !path)
        return false;
    size_t len = strlen(path), n = strlen(w.file);
    if (len < n || strcmp(path + len - n, w.file) != 0)
        return false;
    size_t dir = len - n; /* what precedes the name, with its slash */
    if (dir == 0 || (dir == 2 && strncmp(path, "./", 2) == 0))
        return true;
    return dir == strlen(w.cwd) + 1 && path[dir - 1] == '/' && strncmp(path, w.cwd, dir - 1) == 0;
}

bool wait_is_late(void)
{
    return w.late;
}

/* --- Pipes --- */

static void write_all(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            wait_fail("write", errno);
        data += n;
        len -= (size_t)n;
    }
}

/* One byte at least, or the end of this process: nobody wants it any more. */
static size_t read_some(int fd, char *data, size_t len)
{
    for (;;) {
        ssize_t n = read(fd, data, len);
        if (n > 0)
            return (size_t)n;
        if (n == 0)
            _exit(0);
        if (errno != EINTR)
            wait_fail("read", errno);
    }
}

/* The next body; its length in *ret_len. */
static char *read_body(int fd, size_t *ret_len)
{
    char line[JOB_DIGITS_MAX + 1];
    size_t n = 0;
    while (read_some(fd, &line[n], 1), line[n] != '\n') {
        if (++n == sizeof(line))
            wait_fail("job", EBADMSG);
    }
    long len = job_length(line, n);
    if (len < 0)
        wait_fail("job", (int)-len);
    char *body = malloc((size_t)len + 1);
    if (!body)
        wait_fail("job", ENOMEM);
    for (size_t have = 0; have < (size_t)len;)
        have += read_some(fd, body + have, (size_t)len - have);
    *ret_len = (size_t)len;
    return body;
}

static void write_body(int fd, const char *body, size_t len)
{
    char line[JOB_DIGITS_MAX + 2];
    int n = snprintf(line, sizeof(line), "%zu\n", len);
    write_all(fd, line, (size_t)n);
    write_all(fd, body, len);
}

static void wait_ready(const struct peer *p)
{
    char c;
    read_some(p->answers, &c, 1);
    if (c != 'R')
        wait_fail("compiler", EPROTO);
}

/* --- Children --- */

static int exit_code(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            wait_fail("waitpid", errno);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void start_compiler(char *command)
{
    int to[2], from[2];
    if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0)
        wait_fail("pipe", errno);
    pid_t pid = fork();
    if (pid < 0)
        wait_fail("fork", errno);
    if (pid == 0) {
        /* Its own input is empty and its output is no output of the program. */
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        int in = fcntl(to[0], F_DUPFD_CLOEXEC, 10), out = fcntl(from[1], F_DUPFD_CLOEXEC, 10);
        if (null < 0 || in < 0 || out < 0 || dup2(null, 0) < 0 || dup2(2, 1) < 0 ||
            dup2(in, JOBS_FD) < 0 || dup2(out, ANSWERS_FD) < 0)
            wait_fail("dup", errno);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        wait_fail("/bin/sh", errno);
    }
    close(to[0]);
    close(from[1]);
    w.compiler = (struct peer){fcntl(to[1], F_DUPFD_CLOEXEC, HIGH_FD),
                               fcntl(from[0], F_DUPFD_CLOEXEC, HIGH_FD), pid};
    close(to[1]);
    close(from[0]);
}

/* What a run costs, with the output thrown away. */
static void rehearse(const struct job *j, const char *body, size_t len)
{
    if (w.compiler.pid) {
        write_body(w.compiler.jobs, body, len);
        wait_ready(&w.compiler);
    }
    if (!w.rehearse)
        return;
    posix_spawn_file_actions_t a;
    char sh[] = "sh", c[] = "-c", *argv[] = {sh, c, w.rehearse, NULL};
    pid_t pid;
    posix_spawn_file_actions_init(&a);
    posix_spawn_file_actions_addopen(&a, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&a, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&a, 1, 2);
    posix_spawn_file_actions_addchdir_np(&a, j->cwd);
    int r = posix_spawn(&pid, "/bin/sh", &a, NULL, argv, j->env);
    posix_spawn_file_actions_destroy(&a);
    if (r)
        wait_fail("/bin/sh", r);
    exit_code(pid);
}

/* --- Becoming the program --- */

static bool is_alone(void)
{
    glob_t found;
    if (!w.alone || glob(w.alone, GLOB_NOSORT, NULL, &found) != 0)
        return true;
    bool alone = found.gl_pathc <= 1;
    globfree(&found);
    return alone;
}

/* Whether the program, for which there are arguments, must be run cold. When in doubt it must. */
static bool is_for_cold(void)
{
    regex_t cold_if;
    struct stat st;
    /* open() is ours, and would wait. */
    int fd = (int)syscall(SYS_openat, AT_FDCWD, w.file, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return true;
    char *text = calloc((size_t)st.st_size + 1, 1);
    if (!text || pread(fd, text, (size_t)st.st_size, 0) != st.st_size ||
        regcomp(&cold_if, w.cold_if, REG_EXTENDED | REG_NEWLINE | REG_NOSUB) != 0)
        return true;
    bool is = regexec(&cold_if, text, 0, NULL, 0) == 0;
    regfree(&cold_if);
    free(text);
    close(fd);
    return is;
}

/* What this runtime has changed for its own process must not reach the new one. */
_Noreturn static void start_over(const struct job *j)
{
    char sh[] = "sh", c[] = "-c", **argv = calloc(j->n_args + 5, sizeof(*argv));
    sigset_t none;
    if (!argv || !w.cold)
        wait_fail("cold run", argv ? EINVAL : ENOMEM);
    argv[0] = sh;
    argv[1] = c;
    argv[2] = w.cold;
    argv[3] = w.file;
    memcpy(&argv[4], j->args, j->n_args * sizeof(*argv));
    if (w.compiler.pid) {
        close(w.compiler.jobs);
        exit_code(w.compiler.pid);
    }
    for (int sig = 1; sig < NSIG; sig++)
        signal(sig, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve("/bin/sh", argv, j->env);
    wait_fail("/bin/sh", errno);
}

static bool is_ours(const char *variable)
{
    return strncmp(variable, "HOLM_WAIT", strlen("HOLM_WAIT")) == 0 ||
           strncmp(variable, "LD_PRELOAD=", strlen("LD_PRELOAD=")) == 0;
}

char **wait_program_argv(char **args, size_t n)
{
    return job_argv(&WAIT_PROGRAM, 1, args, n);
}

static void tell(const struct job *j)
{
    w.told = memfd_create("job", MFD_CLOEXEC);
    if (w.told < 0)
        wait_fail("memfd_create", errno);
    dprintf(w.told, "%zu%c", j->n_args, '\0');
    for (size_t i = 0; i < j->n_args; i++)
        write_all(w.told, j->args[i], strlen(j->args[i]) + 1);
    for (char **v = environ; *v; v++)
        write_all(w.told, *v, strlen(*v) + 1);
    if (lseek(w.told, 0, SEEK_SET) < 0)
        wait_fail("lseek", errno);
}

int wait_told(const char *path)
{
    if (w.told < 0 || !path)
        return -1;
    size_t len = strlen(path), n = strlen(w.file);
    if (len < n + 4 || strcmp(path + len - 4, ".job") != 0 ||
        strncmp(path + len - 4 - n, w.file, n) != 0)
        return -1;
    int fd = w.told;
    w.told = -1;
    return fd;
}

static void give_args(const struct job *j)
{
    static int (*const give[])(char **, size_t) = {
        wait_guile_args, wait_jvm_args,    wait_mono_args, wait_octave_args, wait_perl_args,
        wait_php_args,   wait_prolog_args, wait_r_args,    wait_raku_args,
    };
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof(give) / sizeof(*give); i++)
        r = give[i](j->args, j->n_args);
    if (r <= 0)
        wait_fail("arguments", r < 0 ? -r : ENOTSUP);
}

static void become(const struct job *j, const char *body, size_t len)
{
    if (strcmp(j->cwd, w.cwd) != 0 && chdir(j->cwd) < 0)
        wait_fail(j->cwd, errno);
    if ((w.compiler.pid && !is_alone()) || (j->n_args && w.cold_if && is_for_cold()))
        start_over(j);
    if (w.compiler.pid) {
        write_body(w.compiler.jobs, body, len);
        int code = exit_code(w.compiler.pid);
        if (code)
            _exit(code);
        close(w.compiler.jobs);
        close(w.compiler.answers);
    }
    char **env = job_environ(j, w.base, environ, is_ours);
    if (!env)
        wait_fail("environment", ENOMEM);
    environ = env;
    int r = wait_v8_reseed();
    if (r < 0)
        wait_fail("random numbers", -r);
    wait_octave_reseed();
    wait_raku_renew();
    if (w.tells)
        tell(j);
    else if (j->n_args)
        give_args(j);
    close(w.jobs);
    close(w.answers);
}

static void hold(void)
{
    for (;;) {
        size_t len;
        struct job j;
        write_all(w.answers, "R", 1);
        char *body = read_body(w.jobs, &len);
        int r = job_parse(body, len, &j);
        if (r < 0)
            wait_fail("job", -r);
        if (!j.rehearse)
            become(&j, body, len);
        else
            rehearse(&j, body, len);
        bool done = !j.rehearse;
        job_done(&j);
        free(body);
        if (done)
            return;
    }
}

void wait_hold(void)
{
    int saved = errno;
    bool held = false;
    if (wait_mono_is_early()) {
        errno = saved;
        return;
    }
    pthread_mutex_lock(&w.lock);
    if (w.armed) {
        if (w.compiler.pid)
            wait_ready(&w.compiler);
        wait_v8_find();
        hold();
        __atomic_store_n(&w.armed, false, __ATOMIC_RELEASE);
        held = true;
    }
    pthread_mutex_unlock(&w.lock);
    if (held)
        wait_mono_go_on();
    errno = saved;
}

/* --- Start --- */

/* A copy of variable `name`, or NULL. */
static char *take(const char *name)
{
    const char *value = getenv(name);
    char *copy = value ? strdup(value) : NULL;
    if (value && !copy)
        wait_fail(name, ENOMEM);
    return copy;
}

/* The environment without what is ours, in one string. */
static char *base_text(void)
{
    size_t size = 1;
    for (char **v = environ; *v; v++)
        size += strlen(*v) + 1;
    char *text = malloc(size), *p = text;
    if (!text)
        wait_fail("environment", ENOMEM);
    for (char **v = environ; *v; v++) {
        if (!is_ours(*v))
            p = stpcpy(p, *v), *p++ = BASE_SEPARATOR;
    }
    *p = '\0';
    return text;
}

/* Takes the text apart, which must stay. */
static char **base_list(char *text)
{
    size_t n = 0;
    for (const char *p = text; *p; p++)
        n += *p == BASE_SEPARATOR;
    char **list = calloc(n + 1, sizeof(*list));
    if (!list)
        wait_fail("environment", ENOMEM);
    for (size_t i = 0; i < n; i++) {
        char *end = strchr(text, BASE_SEPARATOR);
        *end = '\0';
        list[i] = text;
        text = end + 1;
    }
    return list;
}

static bool is_runtime(const char *exe)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (n < 0)
        return false;
    path[n] = '\0';
    return strcmp(basename(path), exe) == 0;
}

static void hide(void)
{
    char **to = environ;
    for (char **v = environ; *v; v++) {
        if (!is_ours(*v))
            *to++ = *v;
    }
    *to = NULL;
}

/* The C library gives constructors what it gives main. */
__attribute__((constructor)) static void start(int argc, char **argv)
{
    char *exe = getenv("HOLM_WAIT_EXE");
    if (!getenv("HOLM_WAIT"))
        return;
    char *base = take("HOLM_WAIT_BASE");
    if (!base)
        base = base_text();
    if (exe && !is_runtime(exe)) {
        setenv("HOLM_WAIT_BASE", base, 1);
        free(base);
        return;
    }
    char *compiler = take("HOLM_WAIT_COMPILER");
    w.file = take("HOLM_WAIT");
    w.late = getenv("HOLM_WAIT_LATE") != NULL;
    w.tells = getenv("HOLM_WAIT_TELL") != NULL;
    w.rehearse = take("HOLM_WAIT_REHEARSE");
    w.alone = take("HOLM_WAIT_ALONE");
    w.cold = take("HOLM_WAIT_COLD");
    w.cold_if = take("HOLM_WAIT_COLD_IF");
    w.base = base_list(base);
    wait_command = (struct wait_command){(size_t)argc, job_argv(argv, (size_t)argc, NULL, 0)};
    if (!wait_command.argv || argc == 0)
        wait_fail("command", argc ? ENOMEM : EINVAL);
    hide();
    w.jobs = fcntl(JOBS_FD, F_DUPFD_CLOEXEC, HIGH_FD);
    w.answers = fcntl(ANSWERS_FD, F_DUPFD_CLOEXEC, HIGH_FD);
    if (w.jobs < 0 || w.answers < 0 || !getcwd(w.cwd, sizeof(w.cwd)))
        wait_fail("start", errno);
    close(JOBS_FD);
    close(ANSWERS_FD);
    if (compiler)
        start_compiler(compiler);
    free(compiler);
    __atomic_store_n(&w.armed, true, __ATOMIC_RELEASE);
}
