/* SPDX-License-Identifier: Apache-2.0 */

/* holmd: options, configuration, signals. The work is in src/host and src/api. */

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "api/rds/events.h"
#include "api/server.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "holmd/notify.h"
#include "host/accounts.h"
#include "host/config.h"
#include "host/host.h"
#include "host/languages.h"
#include "host/sessions.h"
#include "host/webhooks.h"

#define LISTENERS_MAX 16
#define NAMES_MAX 16

/* When every run has ended, its answer still has to be written. */
#define LAST_ANSWERS_MS 2000

static const char usage[] =
    "Usage: holmd [OPTION]...\n"
    "\n"
    "The daemon that runs Holm's VMs and serves its APIs. It stays in the foreground and logs to "
    "stderr.\n"
    "\n"
    "  -c, --config FILE     read the configuration from FILE (default: /etc/holm/holm.conf when "
    "it is there)\n"
    "  -s, --set KEY=VALUE   set one option, e.g. --set server.listen=127.0.0.1:9000; may be "
    "repeated\n"
    "      --print-config    print the configuration file with every default explained, and exit\n"
    "      --doctor          print as JSON what this host can and cannot do, and exit\n"
    "  -V, --version         print the version, and exit\n"
    "  -h, --help            print this, and exit\n"
    "\n"
    "Examples:\n"
    "  holmd\n"
    "  holmd --set paths.data_dir=/srv/holm --set pool.python=8\n"
    "  holmd --print-config > /etc/holm/holm.conf\n";

enum { OPT_PRINT_CONFIG = 256, OPT_DOCTOR };

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"set", required_argument, NULL, 's'},
    {"print-config", no_argument, NULL, OPT_PRINT_CONFIG},
    {"doctor", no_argument, NULL, OPT_DOCTOR},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

#define DEFAULT_CONFIG "/etc/holm/holm.conf"

/* What the command line asks for. */
struct command {
    struct config config;
    bool doctor;
    bool print; /* something was printed: exit with success */
};

static int print_config(void)
{
    auto_buf struct buf b = {0};
    config_print(&b);
    return fputs(buf_str(&b), stdout) < 0 ? -EIO : 0;
}

static int one_option(struct command *cmd, int opt, struct err *e)
{
    switch (opt) {
    case 'c':
        return 0; /* read before: see read_config */
    case 's':
        return config_set(&cmd->config, optarg, e);
    case OPT_PRINT_CONFIG:
        cmd->print = true;
        return print_config();
    case OPT_DOCTOR:
        cmd->doctor = true;
        return 0;
    case 'V':
        cmd->print = true;
        puts("holmd " HOLM_VERSION);
        return 0;
    case 'h':
        cmd->print = true;
        fputs(usage, stdout);
        return 0;
    default:
        return err_set(e, ERR_INVALID, "see holmd --help");
    }
}

/* The file comes first whatever the order of options is, so that --set overrides it. */
static int read_config(struct command *cmd, int argc, char **argv, struct err *e)
{
    const char *path = NULL;
    int opt;
    opterr = 0;
    while ((opt = getopt_long(argc, argv, "c:s:Vh", long_options, NULL)) != -1) {
        if (opt == 'c')
            path = optarg;
    }
    opterr = 1;
    optind = 1;
    config_init(&cmd->config);
    if (path)
        return config_read(&cmd->config, path, e);
    int r = config_read(&cmd->config, DEFAULT_CONFIG, e);
    return r == -ENOENT ? 0 : r;
}

static int parse(struct command *cmd, int argc, char **argv, struct err *e)
{
    int r = read_config(cmd, argc, argv, e);
    int opt;
    while (r == 0 && (opt = getopt_long(argc, argv, "c:s:Vh", long_options, NULL)) != -1)
        r = one_option(cmd, opt, e);
    if (r == 0)
        r = config_read_environment(&cmd->config, e);
    if (r == 0 && optind < argc)
        r = err_set(e, ERR_INVALID, "unexpected argument \"%s\"; see holmd --help", argv[optind]);
    enum log_level level;
    if (r == 0 && !log_parse_level(cmd->config.log_level, &level))
        r = err_field(e, "log_level",
                      "server.log_level must be debug, info, warn or error, not \"%s\"",
                      cmd->config.log_level);
    if (r == 0)
        log_set_level(level);
    return r;
}

/* Splits at spaces, in place; at most max - 1 words, then a NULL. */
static int split(char *text, const char **ret, int max)
{
    int n = 0;
    for (char *save, *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        if (n == max - 1)
            return -E2BIG;
        ret[n++] = w;
    }
    ret[n] = NULL;
    return n;
}

static int key_account(void *arg, const char *key, char ret_account[ID_SIZE], bool *ret_admin,
                       struct err *e)
{
    return host_key_account(arg, key, ret_account, ret_admin, e);
}

static int session_account(void *arg, const char *token, char ret_account[ID_SIZE], bool *ret_admin,
                           struct err *e)
{
    struct session_info s = {0};
    int r = host_session(arg, token, &s, e);
    if (r < 0)
        return r;
    strcpy(ret_account, s.account);
    *ret_admin = s.admin;
    return 0;
}

/* Where connections out of VMs come in (vms_forward.c joins them to it). */
static struct listener_config guests_listener(const struct config *config)
{
    static char address[CONFIG_TEXT_SIZE + 32];
    snprintf(address, sizeof(address), "unix:%s/staging.sock", config->data_dir);
    return (struct listener_config){.address = address, .trust = LISTENER_GUESTS};
}

struct listeners {
    struct listener_config all[2 * LISTENERS_MAX + 1];
    size_t n;
};

/* Those of one option, whose text is split in place; `mount` as in listener_config. */
static int add_listeners(const struct config *config, char *text, const char *mount,
                         struct listeners *to, struct err *e)
{
    const char *addresses[LISTENERS_MAX + 1];
    int n = split(text, addresses, LISTENERS_MAX + 1);
    if (n <= 0)
        return err_field(e, "listen", "%s.listen needs 1 to %d addresses", mount ? mount : "server",
                         LISTENERS_MAX);
    for (int i = 0; i < n; i++)
        to->all[to->n++] = (struct listener_config){
            .address = addresses[i],
            .trust = config->require_key ? LISTENER_KEY : LISTENER_AUTO,
            .mount = mount,
        };
    return 0;
}

/* NULL: it cannot be told where it is. */
static const char *web_dir(const struct config *config)
{
    static char dir[PATH_MAX];
    char exe[PATH_MAX];
    if (config->web_dir[0])
        return config->web_dir;
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    if (n < 0)
        return NULL;
    exe[n] = '\0';
    *strrchr(exe, '/') = '\0';
    return path_printf(dir, sizeof(dir), "%s/../share/holm/web", exe) < 0 ? NULL : dir;
}

static int start_server(struct command *cmd, struct host *h, struct server **ret, struct err *e)
{
    static char listen[CONFIG_TEXT_SIZE], rds_listen[CONFIG_TEXT_SIZE], allowed[CONFIG_TEXT_SIZE];
    static const char *names[NAMES_MAX + 1];
    static struct listeners listeners;
    const struct config *c = &cmd->config;
    host_webhooks_tell(h, rds_event_json, rds_webhook_id_json);
    strcpy(listen, c->listen);
    strcpy(rds_listen, c->rds_listen);
    strcpy(allowed, c->allowed_hosts);
    int r = add_listeners(c, listen, NULL, &listeners, e);
    if (r == 0 && c->rds)
        r = add_listeners(c, rds_listen, "rds", &listeners, e);
    if (r < 0)
        return r;
    if (split(allowed, names, NAMES_MAX + 1) < 0)
        return err_field(e, "allowed_hosts", "server.allowed_hosts has more than %d names",
                         NAMES_MAX);
    listeners.all[listeners.n++] = guests_listener(c);
    struct server_config sc = {
        .host = h,
        .listeners = listeners.all,
        .n_listeners = listeners.n,
        .hosts = names,
        .key_account = key_account,
        .key_arg = h,
        .session_account = session_account,
        .web_dir = web_dir(c),
        .rate_limits = c->rds_rate_limits,
    };
    return server_new(&sc, ret, e);
}

/* Blocks the signals that end us in every thread; they are read from an fd instead. */
static int make_signal_fd(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigprocmask(SIG_BLOCK, set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, set, SFD_CLOEXEC);
}

/* A VM takes about four descriptors of ours, a connection one. */
static void raise_fd_limit(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
        l.rlim_cur = l.rlim_max;
        setrlimit(RLIMIT_NOFILE, &l);
    }
}

static int serve(struct command *cmd, struct err *e)
{
    sigset_t set;
    auto_close int signals = make_signal_fd(&set);
    if (signals < 0)
        return err_errno(e, -errno, "signalfd");
    struct host *h = NULL;
    struct server *server = NULL;
    int r = config_finish(&cmd->config, e);
    if (r == 0)
        r = host_new(&cmd->config, &h, e);
    config_wipe_secrets(&cmd->config);
    if (r == 0)
        r = start_server(cmd, h, &server, e);
    if (r == 0) {
        log_info("holmd", "version=" HOLM_VERSION " listening address=%s",
                 server_address(server, 0));
        notify_systemd("READY=1\n");
        struct signalfd_siginfo si;
        while (read(signals, &si, sizeof(si)) < 0 && errno == EINTR)
            ;
        log_info("holmd", "stopping signal=%s", strsignal((int)si.ssi_signo));
        notify_systemd("STOPPING=1\n");
        server_quiesce(server);
        host_end_runs(h, cmd->config.shutdown_grace_s * 1000);
        server_stop(server, LAST_ANSWERS_MS);
    }
    server_free(server);
    host_free(h);
    return r;
}

static int print_doctor(const struct config *config, struct err *e)
{
    auto_buf struct buf b = {0};
    int r = host_doctor(config, &b, e);
    if (r == 0)
        fputs(buf_str(&b), stdout);
    return r;
}

int main(int argc, char **argv)
{
    static struct command cmd;
    struct err e = ERR_INIT;
    int r = parse(&cmd, argc, argv, &e);
    if (r < 0) {
        fprintf(stderr, "holmd: %s\n", e.text);
        return 2;
    }
    if (cmd.print)
        return fflush(stdout) == 0 ? 0 : 1;
    if (cmd.config.languages[0] && languages_use(cmd.config.languages, &e) < 0) {
        fprintf(stderr, "holmd: %s\n", e.text);
        return 2;
    }
    if (cmd.doctor) {
        log_set_level(LOG_ERROR);
        r = print_doctor(&cmd.config, &e);
    } else {
        raise_fd_limit();
        r = serve(&cmd, &e);
    }
    if (r < 0) {
        fprintf(stderr, "holmd: %s\n", e.text);
        return 1;
    }
    return 0;
}
