/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The daemon's configuration: defaults, then a file (INI), then `--set section.key=value`. The
 * options are rows; from them come the defaults, the parser, its error messages and the documented
 * file that `holmd --print-config` prints. Plain data, read-only once the host runs. */

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "host/vms.h"

#define CONFIG_TEXT_SIZE 256
#define CONFIG_MACHINE_TYPES_MAX 32
#define CONFIG_POOLS_MAX 128
#define CONFIG_TEMPLATES_MAX 200

struct config_pool {
    char language[32];
    int size;
};

struct config {
    /* [server] */
    char listen[CONFIG_TEXT_SIZE];        /* addresses separated by spaces */
    char allowed_hosts[CONFIG_TEXT_SIZE]; /* further Host names, separated by spaces */
    bool require_key;                     /* on loopback too */
    char log_level[CONFIG_TEXT_SIZE];
    int shutdown_grace_s;

    /* [admin] */
    char admin_email[CONFIG_TEXT_SIZE];    /* "": nobody can sign in with a password */
    char admin_password[CONFIG_TEXT_SIZE]; /* wiped once its hash is in the store */

    /* [rds] */
    bool rds;                           /* whether it has listeners of its own */
    char rds_listen[CONFIG_TEXT_SIZE];  /* addresses separated by spaces */
    char rds_api_key[CONFIG_TEXT_SIZE]; /* a key of the admin's besides the others; "": none */
    bool rds_rate_limits;
    int rds_cpu_max;
    int rds_memory_max_mib;
    int rds_vms_max;       /* of one account */
    int rds_allow_ips_max; /* entries of allowIps */
    int rds_exec_timeout_max_ms;
    int rds_run_ts_timeout_max_ms;

    /* [paths] */
    char data_dir[CONFIG_TEXT_SIZE];
    char helper_dir[CONFIG_TEXT_SIZE];
    char languages[CONFIG_TEXT_SIZE];  /* the table's file; "": the one that is built in */
    char web_dir[CONFIG_TEXT_SIZE];    /* the dashboard's files */
    char images_dir[CONFIG_TEXT_SIZE]; /* recipes of images, and what builds them */

    /* [s3]: an object store for images and templates */
    char s3_endpoint[CONFIG_TEXT_SIZE]; /* "": Amazon's */
    char s3_region[CONFIG_TEXT_SIZE];
    char s3_bucket[CONFIG_TEXT_SIZE]; /* "": there is no object store */
    char s3_prefix[CONFIG_TEXT_SIZE];
    char s3_access_key[CONFIG_TEXT_SIZE];
    char s3_secret_key[CONFIG_TEXT_SIZE]; /* wiped once the host has it */
    bool s3_path_style;
    bool s3_pull_on_demand;
    int s3_retry_ms, s3_stall_s;

    /* [engine] */
    char engine[CONFIG_TEXT_SIZE];
    char accelerator[CONFIG_TEXT_SIZE];
    char qemu[CONFIG_TEXT_SIZE];
    bool jail;
    int uid_first;
    int uid_count;
    int boot_timeout_s;
    int restore_timeout_s;

    /* [limits] */
    int vms_max;
    int memory_max_mib; /* 0: three quarters of the host's */
    int starts_max;     /* monitors starting at the same time; 0: twice the CPUs */

    int run_queue_max; /* runs of code that wait for room */
    int run_wait_s;
    int queue_max; /* launches that wait for room or for a template */

    /* [run]; 0: no bound */
    int run_memory_mib, run_memory_max_mib;
    int run_processes, run_processes_max;
    int run_file_mib, run_file_max_mib;
    int run_output_kib, run_output_max_kib;

    /* [vms] */
    char vm_image[CONFIG_TEXT_SIZE];
    int templates_max; /* of shapes that launches asked for */
    int templates_gib; /* of these, on the disk; 0: no bound */
    char machine_type_names[CONFIG_TEXT_SIZE];
    struct machine_type machine_types[CONFIG_MACHINE_TYPES_MAX]; /* by config_finish */
    int n_machine_types;

    /* [quota]: of a new account; 0: no bound */
    int quota_vcpus;
    int quota_memory_mib;
    int quota_disk_gib;
    int quota_snapshots;

    /* [network] */
    bool network;
    char network_pool[CONFIG_TEXT_SIZE];
    char network_resolver[CONFIG_TEXT_SIZE];
    char network_prefix[CONFIG_TEXT_SIZE];
    int network_spare;

    /* [pool] */
    int vm_pool; /* VMs that wait to be launched */
    int pool_default;
    int pool_languages_max; /* that have pool_default */
    bool pool_warm;
    bool pool_runtimes; /* wait in the templates of their languages */
    bool pool_prepare_all;
    int pool_prepare_wait_s;
    int fillers; /* 0: the number of CPUs */
    struct config_pool pools[CONFIG_POOLS_MAX];
    int n_pools;
};

void config_init(struct config *c);

/* Reads a file over what is there; an unknown section or key, or a bad value, is an error that
 * names the line. */
int config_read(struct config *c, const char *path, struct err *e);

/* What has come by the environment counts more than file and command line: ADMIN_EMAIL,
 * ADMIN_PASSWORD, API_KEY, and AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_DEFAULT_REGION and
 * S3_BUCKET of the object store. They are wiped there. */
int config_read_environment(struct config *c, struct err *e);
/* The secrets, once the host has taken what it needs of them. */
void config_wipe_secrets(struct config *c);

/* One "section.key=value". */
int config_set(struct config *c, const char *assignment, struct err *e);

/* Works out what is derived; to be called once all is set. */
int config_finish(struct config *c, struct err *e);

/* Whether [pool] has a line of its own for a language. */
bool config_pool_is_named(const struct config *c, const char *language);

/* The pool size of a language, when it has a pool. */
int config_pool_size(const struct config *c, const char *language);

/* The whole configuration file, every default in it with its explanation, appended. */
void config_print(struct buf *ret);
