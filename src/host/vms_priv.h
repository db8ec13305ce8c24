/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Helpers that the files vms*.c share. */

#include "host/instance.h"

/* By name, NULL or "" for the first; ERR_INVALID on the field machineType. */
int vms_machine_type(struct host *h, const char *name, struct machine_type *ret, struct err *e);

/* A policy as it is stored: whole, in one shape. `json` may be NULL. */
int vms_policy(json_t *json, json_t **ret, struct err *e);

/* A copy that owns its JSON. */
void vms_copy_record(struct instances *s, struct instance *inst, struct instance_record *ret);

/* Captures a held VM that goes on. Its guest's clock stood still meanwhile and its disk has one
 * more layer: the timers' thread sees to both soon. */
int vms_capture(struct instances *s, struct instance *inst, const char *dir, enum capture_kind kind,
                struct capture_times *ret, struct err *e);

/* vm_start; what only waits makes room for it. */
int vms_start_vm(struct host *h, const struct vm_plan *plan, struct vm **ret, struct err *e);

/* A TTL's or idle policy's action, if it is still `due` when the VM's turn has come; 1: it is not.
 */
int vms_act(struct instances *s, struct instance *inst, enum vm_action action,
            bool (*due)(const struct instance *inst), struct err *e);

/* A line for VM_LOG_MONITOR, of a busy instance. What happened is done or about to be; one that
 * cannot be written is logged. */
void vms_log(struct host *h, const char *id, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void vms_forget_log(struct host *h, const char *id);
/* Notes what has happened to it; `data` (which it takes) may be NULL. Without the set's lock. */
void vms_note(struct instances *s, struct instance *inst, const char *type, json_t *data);

/* Monitor, files, record of a busy instance. */
void vms_remove_all(struct instances *s, struct instance *inst);

/* A disk that grows, if it does: monitor, file system, record. Busy. */
int vms_grow(struct instances *s, struct instance *inst, struct err *e);

/* Of a held instance. */
int vms_stats(struct instances *s, struct instance *inst, struct vm_stats *ret, struct err *e);
