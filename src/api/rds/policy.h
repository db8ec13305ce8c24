/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* `allowIps` and `outboundInternet` as a network policy, and back.
 *
 * Egress is denied by default. With outboundInternet each range is allowed; without, nothing is:
 * the gateway answers questions for names and pings whatever a policy says, and refuses all else.
 * What must be remembered but allows nothing is a rule that denies what the default denies anyway,
 * with a description that says what it stands for: the ranges without outboundInternet, and
 * outboundInternet without ranges. So a policy says all there is to know, also in a snapshot. Any
 * thread. */

#include <jansson.h>

#include "api/field.h"
#include "base/err.h"

/* ERR_INVALID names the field ("allowIps[3]"). The caller owns *ret. */
int rds_policy_make(const struct field_texts *allow, bool internet, json_t **ret, struct err *e);

/* Of any policy, in the shape of vm_info.firewall: whether its egress lets anything beyond the
 * gateway through. */
bool rds_policy_internet(const json_t *policy);
/* An array of the ranges that it allows without condition; NULL: no memory. */
json_t *rds_policy_ranges(const json_t *policy);
