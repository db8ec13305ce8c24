/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The rows of the command table; each file cmd_NAME.c has one, or those of one kind. */

#include "cli/cli.h"

extern const struct cli_command cmd_run;

extern const struct cli_command cmd_vm;
extern const struct cli_command cmd_vm_create;
extern const struct cli_command cmd_vm_list;
extern const struct cli_command cmd_vm_show;
extern const struct cli_command cmd_vm_exec;
extern const struct cli_command cmd_vm_jobs;
extern const struct cli_command cmd_vm_output;
extern const struct cli_command cmd_vm_kill;
extern const struct cli_command cmd_vm_fork;
extern const struct cli_command cmd_vm_pause;
extern const struct cli_command cmd_vm_resume;
extern const struct cli_command cmd_vm_suspend;
extern const struct cli_command cmd_vm_stop;
extern const struct cli_command cmd_vm_start;
extern const struct cli_command cmd_vm_delete;
extern const struct cli_command cmd_vm_rename;
extern const struct cli_command cmd_vm_meta;
extern const struct cli_command cmd_vm_ttl;
extern const struct cli_command cmd_vm_idle;
extern const struct cli_command cmd_vm_resize;
extern const struct cli_command cmd_vm_firewall;
extern const struct cli_command cmd_vm_stats;
extern const struct cli_command cmd_vm_images;
extern const struct cli_command cmd_vm_types;

extern const struct cli_command cmd_snapshot;
extern const struct cli_command cmd_snapshot_create;
extern const struct cli_command cmd_snapshot_list;
extern const struct cli_command cmd_snapshot_show;
extern const struct cli_command cmd_snapshot_rename;
extern const struct cli_command cmd_snapshot_delete;

extern const struct cli_command cmd_image;
extern const struct cli_command cmd_image_create;
extern const struct cli_command cmd_image_upload;
extern const struct cli_command cmd_image_list;
extern const struct cli_command cmd_image_show;
extern const struct cli_command cmd_image_set_default;
extern const struct cli_command cmd_image_delete;
extern const struct cli_command cmd_image_rm;
extern const struct cli_command cmd_image_build;
extern const struct cli_command cmd_image_builds;
extern const struct cli_command cmd_image_push;
extern const struct cli_command cmd_image_pull;

extern const struct cli_command cmd_cp;
extern const struct cli_command cmd_shell;
extern const struct cli_command cmd_console;
extern const struct cli_command cmd_logs;
extern const struct cli_command cmd_top;

extern const struct cli_command cmd_account;
extern const struct cli_command cmd_account_create;
extern const struct cli_command cmd_account_list;
extern const struct cli_command cmd_account_show;
extern const struct cli_command cmd_account_quota;
extern const struct cli_command cmd_account_delete;
extern const struct cli_command cmd_key;
extern const struct cli_command cmd_key_create;
extern const struct cli_command cmd_key_list;
extern const struct cli_command cmd_key_revoke;
extern const struct cli_command cmd_quota;

extern const struct cli_command cmd_languages;
extern const struct cli_command cmd_doctor;
extern const struct cli_command cmd_status;
extern const struct cli_command cmd_version;
extern const struct cli_command cmd_completion;
extern const struct cli_command cmd_help;
extern const struct cli_command cmd_names;
