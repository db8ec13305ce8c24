/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Events in the words of this dialect, of which the webhooks have the same. */

#include "api/field.h"
#include "host/activity.h"

json_t *rds_event_json(const struct activity *a); /* NULL: no memory */
json_t *rds_webhook_id_json(const char *id);

extern const struct field rds_event_fields[];
