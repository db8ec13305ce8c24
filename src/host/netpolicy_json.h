/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The two halves of a policy's JSON, and what they share. Within netpolicy*.c only. */

#include <jansson.h>

#include "host/netpolicy.h"

extern const char *const net_protocol_names[]; /* by enum net_protocol; ends with NULL */

/* An empty policy with the defaults; NULL without memory. */
struct net_policy *net_policy_new(void);
/* Appends a rule, which the axis then owns; -ENOMEM. */
int net_axis_add(struct net_axis *a, const struct net_rule *rule);

/* The older shape's {"mode", "ingress": [...]} into the ingress axis. */
bool net_policy_is_old(json_t *json);
int net_policy_parse_old(json_t *json, struct net_policy *p, struct err *e);

/* --- decoding: each sets the error with its field --- */

/* Every member must be one of `known` (ends with NULL). */
int net_json_members(json_t *json, const char *path, const char *const *known, struct err *e);
/* `json` NULL: *ret stays. */
int net_json_choice(json_t *json, const char *path, const char *const *choices, int *ret,
                    struct err *e);
int net_json_array(json_t *json, const char *path, size_t max, struct err *e);
/* A copy of the text into *ret; "" leaves NULL. */
int net_json_description(json_t *json, const char *path, char **ret, struct err *e);
