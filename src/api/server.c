/* SPDX-License-Identifier: Apache-2.0 */
#include "api/server.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "api/server_impl.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"

DEFINE_AUTO(struct server *, server_free)

int server_common_headers(struct MHD_Response *r, const char *cache_control)
{
    const char *const headers[][2] = {
        {"Server", "holm/" HOLM_VERSION},
        {"X-Content-Type-Options", "nosniff"},
        {"Cache-Control", cache_control},
    };
    for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
        if (MHD_add_response_header(r, headers[i][0], headers[i][1]) != MHD_YES)
            return -ENOMEM;
    }
    return 0;
}

/* ---- answers that never change ---- */

static int make_static(struct server_listener *l, const struct route *route,
                       struct MHD_Response **ret, struct err *e)
{
    struct request rq = {
        .server = l->server, .route = route, .mount = l->mount, .behind = "", .fd = -1};
    CLEANUP(answer_done) struct answer a = {0};
    int r = route->handler(&rq, &a, e);
    if (r < 0)
        return r;
    if (answer_render(&a) < 0)
        return err_errno(e, -ENOMEM, "make the answer of %s", route->path);
    const char *type = route->content_type ? route->content_type : "application/json";
    size_t len = a.body.len;
    struct MHD_Response *made =
        MHD_create_response_from_buffer(len, buf_take(&a.body), MHD_RESPMEM_MUST_FREE);
    if (!made || server_common_headers(made, "no-store") < 0 ||
        MHD_add_response_header(made, "Content-Type", type) != MHD_YES)
        return err_errno(e, -ENOMEM, "make the answer of %s", route->path);
    *ret = made;
    return 0;
}

int server_static_response(struct server_listener *l, size_t row, struct MHD_Response **ret,
                           struct err *e)
{
    AUTO_LOCK(&l->static_lock);
    int r = 0;
    if (!l->static_responses[row])
        r = make_static(l, route_at(row), &l->static_responses[row], e);
    if (r == 0)
        *ret = l->static_responses[row];
    return r;
}

static int init_static_responses(struct server_listener *l)
{
    pthread_mutex_init(&l->static_lock, NULL);
    l->static_responses = calloc(l->server->n_routes, sizeof(struct MHD_Response *));
    return l->static_responses ? 0 : -ENOMEM;
}

static void free_static_responses(struct server_listener *l)
{
    if (!l->static_responses)
        return;
    pthread_mutex_destroy(&l->static_lock);
    for (size_t i = 0; i < l->server->n_routes; i++) {
        if (l->static_responses[i])
            MHD_destroy_response(l->static_responses[i]);
    }
    free(l->static_responses);
}

/* ---- listeners ---- */

/* MHD logs what clients do wrong. */
static void log_mhd(void *cls, const char *fmt, va_list ap)
{
    if (log_get_level() != LOG_DEBUG)
        return;
    char text[512];
    vsnprintf(text, sizeof(text), fmt, ap);
    text[strcspn(text, "\n")] = '\0';
    static struct log_limit limit;
    if (log_limit_pass(&limit))
        log_debug("http", "%s", text);
}

/* Paths stay percent-encoded until their pieces are known: "%2F" is not a "/". */
static size_t keep_encoded(void *cls, struct MHD_Connection *c, char *s)
{
    return strlen(s);
}

static struct MHD_Daemon *start_daemon(struct server_listener *l, const struct server_config *c)
{
    return MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL |
            MHD_USE_ERROR_LOG | MHD_ALLOW_UPGRADE,
        0, NULL, NULL, conn_request, l,
        /* First, so that nothing is written to stderr by MHD itself. */
        MHD_OPTION_EXTERNAL_LOGGER, log_mhd, NULL, MHD_OPTION_LISTEN_SOCKET, l->listener.fd,
        MHD_OPTION_NOTIFY_CONNECTION, conn_notify, l, MHD_OPTION_NOTIFY_COMPLETED, conn_completed,
        l, MHD_OPTION_URI_LOG_CALLBACK, conn_note_uri, NULL, MHD_OPTION_UNESCAPE_CALLBACK,
        keep_encoded, NULL, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_CONNECTION_LIMIT,
        c->connections_max + HTTP_CONNECTIONS_SPARE, MHD_OPTION_CONNECTION_TIMEOUT,
        c->idle_timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_HEADERS_MAX_BYTES,
        MHD_OPTION_THREAD_STACK_SIZE, (size_t)HTTP_THREAD_STACK_BYTES, MHD_OPTION_STRICT_FOR_CLIENT,
        1, MHD_OPTION_END);
}

static int find_mount(struct server_listener *l, const char *name, struct err *e)
{
    l->mount = name ? route_dialect_find(name) : NULL;
    if (name && (!l->mount || !l->mount->prefix))
        return err_set(e, ERR_INVALID, "there is no dialect \"%s\" to mount", name);
    return 0;
}

static int check_trust(struct server_listener *l, const struct listener_config *config,
                       struct err *e)
{
    if (l->trust == LISTENER_AUTO)
        l->trust = l->listener.is_loopback ? LISTENER_OPEN : LISTENER_KEY;
    if (l->trust == LISTENER_KEY && !l->server->config.key_account)
        return err_set(e, ERR_INVALID, "listener %s needs keys, but there are none",
                       config->address);
    if (l->trust == LISTENER_OPEN && !l->listener.is_loopback)
        return err_set(e, ERR_INVALID,
                       "%s can be reached from other machines: requests there must need a key",
                       l->listener.address);
    return 0;
}

static int start_listener(struct server *s, size_t i, struct err *e)
{
    const struct listener_config *config = &s->config.listeners[i];
    struct server_listener *l = &s->listeners[i];
    l->server = s;
    l->trust = config->trust;
    int r = find_mount(l, config->mount, e);
    if (r == 0 && init_static_responses(l) < 0)
        r = err_errno(e, -ENOMEM, "start the server");
    if (r == 0)
        r = listener_open(config->address, config->unix_mode, &l->listener, e);
    if (r == 0)
        r = check_trust(l, config, e);
    if (r < 0)
        return r;
    l->daemon = start_daemon(l, &s->config);
    if (!l->daemon)
        return err_set(e, ERR_INTERNAL, "the HTTP library could not start for %s", config->address);
    l->listener.fd = -1; /* MHD's from here on */
    log_info("http", "listening at %s%s%s", l->listener.address, l->mount ? " mount=" : "",
             l->mount ? l->mount->name : "");
    return 0;
}

/* ---- the reaper ---- */

static void *reap(void *arg)
{
    struct server *s = arg;
    struct pollfd p = {.fd = s->reaper_stop_fd, .events = POLLIN};
    while (poll(&p, 1, 1000) <= 0)
        conn_reap(s, clock_mono_ms());
    return NULL;
}

static int start_reaper(struct server *s, struct err *e)
{
    s->idle_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->reaper_stop_fd = eventfd(0, EFD_CLOEXEC);
    if (s->idle_fd < 0 || s->reaper_stop_fd < 0)
        return err_errno(e, -errno, "start the server");
    int r = pthread_create(&s->reaper, NULL, reap, s);
    if (r > 0)
        return err_errno(e, -r, "start the server");
    s->has_reaper = true;
    return 0;
}

static void stop_reaper(struct server *s)
{
    if (s->has_reaper) {
        eventfd_write(s->reaper_stop_fd, 1);
        pthread_join(s->reaper, NULL);
        s->has_reaper = false;
    }
}

/* ---- life ---- */

static void fill_defaults(struct server_config *c)
{
    if (!c->connections_max)
        c->connections_max = HTTP_CONNECTIONS_MAX;
    if (!c->bodies_max_bytes)
        c->bodies_max_bytes = HTTP_BODIES_MAX_BYTES;
    if (!c->answers_max_bytes)
        c->answers_max_bytes = HTTP_ANSWERS_MAX_BYTES;
    if (!c->idle_timeout_s)
        c->idle_timeout_s = HTTP_IDLE_TIMEOUT_S;
    if (!c->request_timeout_s)
        c->request_timeout_s = HTTP_REQUEST_TIMEOUT_S;
    if (!c->send_timeout_s)
        c->send_timeout_s = HTTP_SEND_TIMEOUT_S;
}

static int server_alloc(const struct server_config *config, struct server **ret)
{
    CLEANUP(server_freep) struct server *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->session_ended, NULL);
    s->idle_fd = s->reaper_stop_fd = -1;
    s->config = *config;
    fill_defaults(&s->config);
    while (route_at(s->n_routes))
        s->n_routes++;
    s->listeners = calloc(config->n_listeners + 1, sizeof(*s->listeners));
    if (!s->listeners)
        return -ENOMEM;
    for (size_t i = 0; i < config->n_listeners; i++)
        s->listeners[i].listener.fd = -1;
    int r = route_table_new(&s->routes);
    if (r == 0)
        r = metrics_new(s->n_routes, &s->metrics);
    if (r == 0 && config->rate_limits)
        r = rate_new(&s->rate);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(s);
    return 0;
}

/* Without the dashboard the server still serves its APIs. */
static void open_web(struct server *s, const char *dir)
{
    struct err e = ERR_INIT;
    if (web_new(dir, &s->web, &e) < 0)
        log_line(e.class == ERR_NOT_FOUND ? LOG_INFO : LOG_WARN, "http",
                 "there is no dashboard: %s", e.text);
    else
        log_info("http", "dashboard dir=%s files=%zu", dir, web_count(s->web));
}

int server_new(const struct server_config *config, struct server **ret, struct err *e)
{
    CLEANUP(server_freep) struct server *s = NULL;
    int r = server_alloc(config, &s);
    if (r < 0)
        return err_errno(e, r, "start the server");
    if (config->web_dir)
        open_web(s, config->web_dir);
    r = start_reaper(s, e);
    for (size_t i = 0; r == 0 && i < config->n_listeners; i++)
        r = start_listener(s, i, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(s);
    return 0;
}

const char *server_address(const struct server *s, size_t listener)
{
    return s->listeners[listener].listener.address;
}

void server_quiesce(struct server *s)
{
    atomic_store(&s->quiescing, true);
}

static void wait_idle(struct server *s, int grace_ms)
{
    int64_t deadline = clock_mono_ms() + grace_ms;
    while (metrics_running(s->metrics) > 0 && clock_mono_ms() < deadline) {
        struct pollfd p = {.fd = s->idle_fd, .events = POLLIN};
        if (poll(&p, 1, clock_left_ms(deadline)) > 0) {
            eventfd_t ignored;
            eventfd_read(s->idle_fd, &ignored);
        }
    }
}

void server_stop(struct server *s, int grace_ms)
{
    if (s->stopped)
        return;
    s->stopped = true;
    server_quiesce(s);
    conn_stop_sessions(s);
    if (s->metrics && s->idle_fd >= 0)
        wait_idle(s, grace_ms);
    for (size_t i = 0; i < s->config.n_listeners; i++) {
        struct server_listener *l = &s->listeners[i];
        if (l->daemon)
            MHD_stop_daemon(l->daemon);
        l->daemon = NULL;
        listener_close(&l->listener);
    }
    stop_reaper(s);
}

void server_free(struct server *s)
{
    if (!s)
        return;
    if (s->listeners)
        server_stop(s, 0);
    for (size_t i = 0; s->listeners && i < s->config.n_listeners; i++)
        free_static_responses(&s->listeners[i]);
    free(s->listeners);
    web_free(s->web);
    rate_free(s->rate);
    route_table_free(s->routes);
    metrics_free(s->metrics);
    if (s->idle_fd >= 0)
        close(s->idle_fd);
    if (s->reaper_stop_fd >= 0)
        close(s->reaper_stop_fd);
    pthread_cond_destroy(&s->session_ended);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
