/* SPDX-License-Identifier: Apache-2.0 */

/* Signing in and out. The session's token is in a cookie that no script can read. */

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "api/rds/rds.h"
#include "api/server.h"
#include "api/text.h"
#include "base/limits.h"
#include "host/accounts.h"
#include "host/sessions.h"

#define COOKIE_ATTRIBUTES "Path=/; HttpOnly; SameSite=Lax"

/* --- the cookie --- */

/* What a browser sends over TLS to a proxy of ours comes to us without it. */
static bool is_secure(const struct request *rq)
{
    const char *proto = request_header(rq, "X-Forwarded-Proto");
    return proto && strcasecmp(proto, "https") == 0;
}

static void set_cookie(const struct request *rq, struct answer *ret, const char *token)
{
    answer_header(ret, "Set-Cookie", SESSION_COOKIE "=%s; " COOKIE_ATTRIBUTES "; Max-Age=%d%s",
                  token, *token ? SESSION_DAYS * 86400 : 0, is_secure(rq) ? "; Secure" : "");
}

/* --- POST /auth/login --- */

struct login_input {
    struct field_text email, password, key;
};

static const struct field login_fields[] = {
    {"email", FIELD_TEXT, 0, offsetof(struct login_input, email), .max_bytes = 254,
     .doc = "Of the administrator, by the configuration"},
    {"password", FIELD_TEXT, 0, offsetof(struct login_input, password),
     .max_bytes = LOGIN_PASSWORD_MAX_BYTES, .doc = "Likewise"},
    {"apiKey", FIELD_TEXT, 0, offsetof(struct login_input, key), .max_bytes = LOGIN_KEY_MAX_BYTES,
     .doc = "An API key instead of the two; the session is its account's"},
    {0},
};

static int login(struct request *rq, struct answer *ret, struct err *e)
{
    const struct login_input *in = rq->input.data;
    char token[SESSION_TOKEN_SIZE];
    struct session_info s;
    const struct login l = {.email = in->email.data,
                            .password = in->password.data,
                            .key = in->key.data,
                            .peer = rq->peer};
    if (!l.key && (!l.email || !l.password))
        return err_field(e, l.email ? "password" : "email", "email and password are required");
    int r =
        l.key ? host_login_key(rq->host, &l, token, &s, e) : host_login(rq->host, &l, token, &s, e);
    if (r < 0)
        return r;
    set_cookie(rq, ret, token);
    explicit_bzero(token, sizeof(token));
    ret->json = json_pack("{s:o}", "email", text_json(s.email, strlen(s.email)));
    return ret->json ? 0 : -ENOMEM;
}

static const struct field login_answer[] = {
    {"email", FIELD_TEXT, FIELD_REQUIRED, .doc = "Who signed in; \"\" with an API key"},
    {0},
};

/* --- POST /auth/logout --- */

static int logout(struct request *rq, struct answer *ret, struct err *e)
{
    char token[SESSION_TOKEN_SIZE];
    int r = request_cookie(rq, SESSION_COOKIE, token, sizeof(token))
                ? host_logout(rq->host, token, e)
                : 0;
    if (r < 0)
        return r;
    set_cookie(rq, ret, "");
    ret->json = json_pack("{s:b}", "ok", true);
    return ret->json ? 0 : -ENOMEM;
}

static const struct field logout_answer[] = {
    {"ok", FIELD_BOOL, FIELD_REQUIRED, .doc = "true"},
    {0},
};

/* --- GET /auth/me --- */

/* The dashboard asks at each start: then the cookie lasts anew, as the session does. */
static int me(struct request *rq, struct answer *ret, struct err *e)
{
    struct account_info a;
    struct session_info s = {0};
    int r = host_account_get(rq->host, rq->account, &a, e);
    if (r == 0 && rq->session[0])
        r = host_session(rq->host, rq->session, &s, e);
    if (r < 0)
        return err_set(e, ERR_UNAUTHORIZED, "the account is gone");
    if (rq->session[0])
        set_cookie(rq, ret, rq->session);
    ret->json = json_pack("{s:o, s:o, s:o, s:b}", "email", text_json(s.email, strlen(s.email)),
                          "accountId", rds_id_json("", a.id), "accountName",
                          text_json(a.name, strlen(a.name)), "admin", a.admin);
    return ret->json ? 0 : -ENOMEM;
}

static const struct field me_answer[] = {
    {"email", FIELD_TEXT, FIELD_REQUIRED, .doc = "Who signed in; \"\" with an API key"},
    {"accountId", FIELD_TEXT, FIELD_REQUIRED, .doc = "A UUID"},
    {"accountName", FIELD_TEXT, FIELD_REQUIRED, .doc = "Of the account that asks"},
    {"admin", FIELD_BOOL, FIELD_REQUIRED, .doc = "Whether it is an administrator's"},
    {0},
};

/* --- GET /auth/methods --- */

static int methods(struct request *rq, struct answer *ret, struct err *e)
{
    ret->json = json_pack("{s:b}", "password", host_has_password(rq->host));
    return ret->json ? 0 : -ENOMEM;
}

static const struct field methods_answer[] = {
    {"password", FIELD_BOOL, FIELD_REQUIRED,
     .doc = "Whether an e-mail address and a password are configured"},
    {0},
};

const struct route rds_auth_routes[] = {
    {
        RDS_ROW(POST, "/rds/auth/login", "rdsLogin"),
        .handler = login,
        .request = login_fields,
        .input_bytes = sizeof(struct login_input),
        .response = login_answer,
        .flags = ROUTE_OPEN,
        .doc = "Sign in: the answer sets a cookie",
    },
    {
        RDS_ROW(POST, "/rds/auth/logout", "rdsLogout"),
        .handler = logout,
        .response = logout_answer,
        .flags = ROUTE_OPEN,
        .doc = "Sign out: the session of the cookie is over",
    },
    {
        RDS_ROW(GET, "/rds/auth/me", "rdsGetMe"),
        .handler = me,
        .response = me_answer,
        .flags = ROUTE_ACCOUNT,
        .doc = "Who asks",
    },
    {
        RDS_ROW(GET, "/rds/auth/methods", "rdsGetLoginMethods"),
        .handler = methods,
        .response = methods_answer,
        .flags = ROUTE_OPEN,
        .doc = "What one can sign in with",
    },
    {0},
};
