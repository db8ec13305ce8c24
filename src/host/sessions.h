/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* People who sign in, with a password or an API key, and the sessions they get.
 *
 * The administrator's e-mail address and password come from the configuration; the store has the
 * address and the password's hash (Argon2id, libsodium's crypto_pwhash_str at its interactive
 * level), never the password. An address without a password keeps the one that the store has for
 * it. Who signs in so is the oldest admin account. A session is a random token of 256 bits, of
 * which the store has the SHA-256; it lasts SESSION_DAYS from its last use (noted to the hour),
 * survives the daemon, and ends when it is left, when its account is deleted, when the password
 * changes, or when the key it was made with is revoked or expires.
 *
 * Attempts are limited: LOGIN_ATTEMPTS_MAX that failed within LOGIN_WINDOW_S from one peer, and
 * LOGIN_ATTEMPTS_ALL_MAX of everyone's together, after which every further one is ERR_RATE until
 * the window has passed, right or wrong. At most LOGIN_HASHES_MAX hashes are computed at the same
 * time (each takes 64 MiB); a wrong address costs as much as a wrong password. Any thread. */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"

struct host;

#define SESSION_TOKEN_SIZE 44 /* 43 characters of base64url and a NUL */
#define SESSION_EMAIL_SIZE 256

struct session_info {
    char account[ID_SIZE];
    bool admin;
    char email[SESSION_EMAIL_SIZE]; /* "" when it was made with a key */
    int64_t created_ns;
    int64_t expires_ns;
};

/* What somebody signs in with; borrowed. */
struct login {
    const char *email, *password; /* host_login */
    const char *key;              /* host_login_key */
    const char *peer;             /* the client's address */
};

/* ERR_UNAUTHORIZED: "Invalid credentials", also when no password is configured. ERR_RATE with
 * retry_after_s. */
int host_login(struct host *h, const struct login *l, char ret_token[SESSION_TOKEN_SIZE],
               struct session_info *ret, struct err *e);
/* The same with an API key, of any account. */
int host_login_key(struct host *h, const struct login *l, char ret_token[SESSION_TOKEN_SIZE],
                   struct session_info *ret, struct err *e);
/* Whose session it is; ERR_UNAUTHORIZED. */
int host_session(struct host *h, const char *token, struct session_info *ret, struct err *e);
/* Ends it; one that is none is fine. */
int host_logout(struct host *h, const char *token, struct err *e);
/* Whether a password is configured, so that the page can say what to sign in with. */
bool host_has_password(struct host *h);

/* --- for the host's own files: host->sessions --- */

struct sessions;

/* Reads the store; makes the configuration's address and password those that count. After the
 * accounts. ERR_INVALID: only one of the two is there. */
int sessions_new(struct host *h, struct sessions **ret, struct err *e);
void sessions_free(struct sessions *s); /* NULL is fine */
