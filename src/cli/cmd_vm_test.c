/* SPDX-License-Identifier: Apache-2.0 */

/* The commands about VMs and snapshots, the real program, against a server that speaks what the
 * daemon does. */

#include "cli/test_cmd.h"

static void test_list(void **state)
{
    auto_test_server struct test_server *s = test_server_new(REPLIES(VMS));
    auto_test_ran struct test_ran r;
    test_holm(s, &(struct test_run){.argv = ARGV("vm", "list")}, &r);
    assert_int_equal(r.code, 0);
    assert_string_equal(buf_str(&r.err), "");
    /* How wide an age is depends on the time of day. */
    test_has(&r.out, "NAME  ID                                    STATUS   TYPE        DISK  ");
    test_has(&r.out, "AGE  SOURCE");
    test_has(&r.out, "lab   " ID_A "  running  c1m0.25  2.0 GiB  ");
    test_has(&r.out, "bash    its monitor ended\n");
    auto_test_ran struct test_ran json;
    test_holm(s, &(struct test_run){.argv = ARGV("vm", "list", "--json")}, &json);
    auto_json json_t *list = json_loads(buf_str(&json.out), 0, NULL);
    assert_int_equal(json_array_size(list), 3);
    auto_test_ran struct test_ran filtered;
    test_holm(
        s, &(struct test_run){.argv = ARGV("vm", "list", "--status", "running", "-m", "a b=c&d")},
        &filtered);
    assert_int_equal(filtered.code, 0);
    assert_non_null(strstr(test_server_log(s), "GET /v1/vms?status=running&metadata.a b=c&d\n"));
}

static void test_list_on_a_terminal(void **state)
{
    auto_test_server struct test_server *s = test_server_new(REPLIES(VMS));
    auto_buf struct buf out = {0};
    assert_int_equal(test_on_terminal(s, ARGV("vm", "list"), NULL, &out), 0);
    test_has(&out, "lab   3f2a0000  running");
    auto_test_server struct test_server *none = test_server_new(REPLIES(OK("/v1/vms", "[]")));
    auto_buf struct buf text = {0};
    assert_int_equal(test_on_terminal(none, ARGV("vm", "list"), NULL, &text), 0);
    assert_string_equal(buf_str(&text), "there are none; 'holm vm create' makes one\n");
    test_expect(none, ARGV("vm", "list"), 0,
                "NAME  ID  STATUS  TYPE  DISK  AGE  SOURCE  TTL  DETAIL\n", "");
}

static void test_show(void **state)
{
    auto_test_server struct test_server *s = test_server_new(REPLIES(
        VMS, OK(VM_A, VM(ID_A, "lab", "running",
                         ",\"ttl\":{\"seconds\":3600,\"action\":\"delete\"},\"ttlRemainingMs\":"
                         "1800000,\"idle\":{\"seconds\":60,\"action\":\"stop\"},\"idleForMs\":5000,"
                         "\"effectiveFirewall\":{\"egress\":{\"default\":\"allow\",\"rules\":[{}]},"
                         "\"ingress\":{\"default\":\"deny\",\"rules\":[]}},\"nextMachineType\":"
                         "\"c2m4\",\"pausedAt\":null"))));
    auto_test_ran struct test_ran r;
    test_holm(s, &(struct test_run){.argv = ARGV("vm", "show", "lab")}, &r);
    assert_int_equal(r.code, 0);
    test_has(&r.out, "name      lab\n");
    test_has(&r.out, "machine   c1m0.25: 1 CPU, 256 MiB memory, 2.0 GiB disk; c2m4 from its next "
                     "start on\n");
    test_has(&r.out, "ttl       delete, 30m left\n");
    test_has(&r.out, "idle      stop after 1m; idle for 5s\n");
    test_has(&r.out, "egress    allow, but for 1 rule\n");
    test_has(&r.out, "ingress   deny\n");
    test_has(&r.out, "metadata  job=7\n");
    assert_null(strstr(buf_str(&r.out), "paused"));
}

/* A VM by its name, its id and the beginning of it; and what cannot be told. */
static void test_names(void **state)
{
    auto_test_server struct test_server *s =
        test_server_new(REPLIES(VMS, OK(VM_A, VM(ID_A, "lab", "running", ""))));
    const char *const words[] = {"lab", ID_A, "3F2a", "3f2a0000-00"};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        auto_test_ran struct test_ran r;
        test_holm(s, &(struct test_run){.argv = ARGV("vm", "show", words[i])}, &r);
        assert_string_equal(buf_str(&r.err), "");
        assert_int_equal(r.code, 0);
    }
    test_expect_error(s, ARGV("vm", "show", "base"), 125,
                      "holm: 'base' may be any of 2 VMs: " ID_B " (base), " ID_C
                      " (base); give more of the id\n");
    test_expect_error(s, ARGV("vm", "show", "3f2"), 125,
                      "'3f2' may be any of 2 VMs: " ID_A " (lab), " ID_B " (base)");
    test_expect_error(s, ARGV("vm", "show", "lba"), 125,
                      "there is no VM 'lba' (did you mean 'lab'?); 'holm vm list' shows all\n");
    test_expect_error(s, ARGV("vm", "show", ""), 2,
                      "the name of the VM is empty\nTry 'holm vm show");
    test_expect_error(s, ARGV("vm", "show"), 2, "holm: which VM? 'holm vm list' shows all\n");
    assert_int_equal(test_server_count(s, VM_A), 4);
    auto_test_server struct test_server *bad =
        test_server_new(REPLIES(OK("/v1/vms", "[{\"id\":\"../x\",\"name\":\"lab\"}]")));
    test_expect_error(bad, ARGV("vm", "show", "lab"), 125, "lists a VM whose id is none");
    auto_test_server struct test_server *odd = test_server_new(REPLIES(OK("/v1/vms", "{}")));
    test_expect_error(odd, ARGV("vm", "show", "lab"), 125,
                      "/v1/vms: the answer is not a JSON list");
}

static void test_create(void **state)
{
    auto_test_server struct test_server *s =
        test_server_new(REPLIES(CALL("POST", "/v1/vms", 201, VM(ID_A, "lab", "running", "")),
                                OK("/v1/snapshots", "[{\"id\":\"" ID_C "\",\"name\":\"snap\"}]")));
    auto_test_ran struct test_ran r;
    test_holm(s,
              &(struct test_run){
                  .argv = ARGV("vm", "create", "--image", "python", "-t", "c1m2", "--name", "lab",
                               "-m", "a=1", "-m", "b=", "--env", "X", "-e", "Y=2", "--disk", "4",
                               "--ttl", "1h30m:delete", "--idle", "90", "--no-outbound", "--allow",
                               "192.0.2.0/24:80,90-99", "--allow-in", "[fd00::/8]:53/udp"),
                  .env = ARGV("X=from here")},
              &r);
    assert_string_equal(buf_str(&r.err), "");
    assert_string_equal(buf_str(&r.out), ID_A "\n");
    assert_int_equal(r.code, 0);
    auto_json json_t *want = json_loads(
        "{\"image\":\"python\",\"machineType\":\"c1m2\",\"name\":\"lab\",\"metadata\":{\"a\":\"1\","
        "\"b\":\"\"},\"envVars\":{\"X\":\"from here\",\"Y\":\"2\"},\"diskGiB\":4,\"ttl\":{"
        "\"seconds\":5400,\"action\":\"delete\"},\"idle\":{\"seconds\":90,\"action\":\"pause\"},"
        "\"firewall\":{\"egress\":{\"default\":\"deny\",\"rules\":[{\"action\":\"allow\",\"kind\":"
        "\"cidr\",\"value\":\"192.0.2.0/24\",\"protocol\":\"tcp\",\"ports\":\"80\"},{\"action\":"
        "\"allow\",\"kind\":\"cidr\",\"value\":\"192.0.2.0/24\",\"protocol\":\"tcp\",\"ports\":"
        "\"90-99\"}]},\"ingress\":{\"default\":\"deny\",\"rules\":[{\"action\":\"allow\",\"kind\":"
        "\"cidr\",\"value\":\"fd00::/8\",\"protocol\":\"udp\",\"ports\":\"53\"}]}}}",
        0, NULL);
    auto_json json_t *got = json_loads(test_server_body(s), 0, NULL);
    assert_true(json_equal(want, got));
    auto_test_ran struct test_ran from_snapshot;
    test_holm(s, &(struct test_run){.argv = ARGV("vm", "create", "--snapshot", "snap", "--json")},
              &from_snapshot);
    assert_string_equal(test_server_body(s), "{\"snapshotId\":\"" ID_C "\"}");
    auto_json json_t *vm = json_loads(buf_str(&from_snapshot.out), 0, NULL);
    assert_string_equal(json_text(vm, "name"), "lab");
    auto_buf struct buf out = {0};
    assert_int_equal(test_on_terminal(s, ARGV("vm", "create"), NULL, &out), 0);
    assert_string_equal(buf_str(&out), "VM lab (" ID_A ") is running\n");
    assert_string_equal(test_server_body(s), "{}");
}

static void test_create_waits(void **state)
{
    auto_test_server struct test_server *s = test_server_new(REPLIES(
        CALL("POST", "/v1/vms", 202, VM(ID_A, "lab", "provisioning", "")),
        OK(VM_A, VM(ID_A, "lab", "provisioning", "")), OK(VM_A, VM(ID_A, "lab", "running", ""))));
    test_expect(s, ARGV("vm", "create"), 0, ID_A "\n", "");
    assert_int_equal(test_server_count(s, VM_A), 2);
    auto_test_server struct test_server *not =
        test_server_new(REPLIES(CALL("POST", "/v1/vms", 202, VM(ID_A, "lab", "provisioning", ""))));
    test_expect(not, ARGV("vm", "create", "--no-wait"), 0, ID_A "\n", "");
    auto_test_server struct test_server *fails =
        test_server_new(REPLIES(CALL("POST", "/v1/vms", 202, VM(ID_A, "lab", "provisioning", "")),
                                OK(VM_A, VM(ID_A, "lab", "error", ",\"detail\":\"no image\""))));
    test_expect(fails, ARGV("vm", "create"), 125, "",
                "holm: lab could not be started: no image; 'holm vm start " ID_A "' tries again\n");
}

static void test_create_mistakes(void **state)
{
    static const struct {
        const char *option, *value, *err;
    } rows[] = {
        {"--ttl", "1x", "--ttl: '1x' is not a duration; write 45s, 10m, 1h30m, 2d"},
        {"--ttl", "0", "--ttl: '0' is not a duration"},
        {"--idle", "1h:explode", "--idle: 'explode' cannot be done then; it is one of pause,"},
        {"--disk", "0", "--disk takes a whole number of 1 to 65536, not '0'"},
        {"--meta", "novalue", "--meta takes NAME=VALUE, not 'novalue'"},
        {"--env", "NOT_SET_HERE", "--env NOT_SET_HERE: it is not set here; write"},
        {"--allow", "10.0.0.0/8:x", "--allow: '10.0.0.0/8:x' is not CIDR[:PORTS]"},
        {"--allow-in", ":80", "--allow-in: ':80' is not CIDR[:PORTS]"},
        {"--allow-in", "a.test:80", "--allow-in: 'a.test:80' is a name"},
        {"--firewall", "/no/such", "cannot read /no/such: No such file or directory"},
        {"--snapshto", "x", "unknown option '--snapshto'; did you mean '--snapshot'?"},
        {"word", "x", "unexpected argument 'word'"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        auto_test_ran struct test_ran r;
        test_holm(NULL,
                  &(struct test_run){.argv = ARGV("vm", "create", rows[i].option, rows[i].value)},
                  &r);
        test_has(&r.err, rows[i].err);
        test_has(&r.err, "Try 'holm vm create --help'.\n");
        assert_int_equal(r.code, 2);
    }
    test_expect_error(NULL, ARGV("vm", "create", "--image", "a", "--snapshot", "b"), 2,
                      "a VM comes from --image or from --snapshot, not from both");
    test_expect_error(NULL, ARGV("vm", "create", "--firewall", "f", "--no-outbound"), 2,
                      "--firewall is the whole policy");
}

static void test_firewall_file(void **state)
{
    auto_test_server struct test_server *s =
        test_server_new(REPLIES(CALL("POST", "/v1/vms", 201, VM(ID_A, "lab", "running", ""))));
    auto_test_ran struct test_ran r;
    test_holm(s,
              &(struct test_run){.argv = ARGV("vm", "create", "--firewall", "-"),
                                 .input = "{\"mode\":\"open\"}"},
              &r);
    assert_int_equal(r.code, 0);
    assert_string_equal(test_server_body(s), "{\"firewall\":{\"mode\":\"open\"}}");
    auto_test_ran struct test_ran bad;
    test_holm(s,
              &(struct test_run){.argv = ARGV("vm", "create", "--firewall", "-"), .input = "\n{x"},
              &bad);
    test_has(&bad.err, "holm: -, line 2: ");
    auto_test_ran struct test_ran list;
    test_holm(s, &(struct test_run){.argv = ARGV("vm", "create", "--firewall", "-"), .input = "[]"},
              &list);
    test_has(&list.err, "- is no policy, a JSON object with ingress, egress and dns");
}

/* The native API's errors, and what to do about them. */
static void test_server_errors(void **state)
{
    static const struct {
        int status;
        const char *body, *err;
    } rows[] = {
        {400,
         "{\"error\":{\"code\":\"invalid\",\"message\":\"must be at most 4\",\"field\":"
         "\"diskGiB\"},\"message\":\"must be at most 4\"}",
         "holm: diskGiB: must be at most 4\n"},
        {400,
         "{\"error\":{\"code\":\"invalid\",\"message\":\"diskGiB: too small\",\"field\":"
         "\"diskGiB\"}}",
         "holm: diskGiB: too small\n"},
        {403, "{\"error\":{\"code\":\"forbidden\",\"message\":\"quota: 4 of 4 vCPUs are used\"}}",
         "holm: quota: 4 of 4 vCPUs are used\n"},
        {503, "{\"message\":\"the host is full\"}", "holm: the host is full\n"},
        {500, "{\"error\":{\"message\":\"broken\"}}", "holm: broken; the daemon's log says more\n"},
        {401, "{\"error\":{\"message\":\"no key\"}}",
         "holm: no key; give a key with --key or HOLM_API_KEY, or keep it in ~/.config/holm/key "
         "('sudo holm key create NAME' on the daemon's host makes one)\n"},
        {404, "<html>", "answers status 404 and no reason; is it the address of a holmd?\n"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        auto_test_server struct test_server *s =
            test_server_new(REPLIES({.path = "/v1/vms",
                                     .method = "POST",
                                     .status = rows[i].status,
                                     .steps = {rows[i].body}}));
        test_expect_error(s, ARGV("vm", "create"), 125, rows[i].err);
    }
    auto_test_server struct test_server *s = test_server_new(
        REPLIES(CALL("POST", "/v1/vms", 401, "{\"error\":{\"message\":\"wrong key\"}}")));
    test_expect_error(s, ARGV("vm", "create", "--key", "k"), 125,
                      "wrong key; the key is from --key: give another one");
    assert_string_equal(test_server_key(s), "k");
    test_expect_error(NULL, ARGV("vm", "list"), 125,
                      "holm: no daemon answers at http://127.0.0.1:1");
}

static void test_moves(void **state)
{
    static const char *const moves[] = {"pause", "resume", "suspend", "stop", "start"};
    static const char *const done[] = {"is paused", "is running", "is suspended", "is stopped",
                                       "is running"};
    for (size_t i = 0; i < ARRAY_SIZE(moves); i++) {
        char path[80], want[80];
        snprintf(path, sizeof(path), VM_A "/%s", moves[i]);
        const struct test_reply replies[] = {
            VMS, CALL("POST", path, 200, VM(ID_A, "lab", "running", "")), {0}};
        auto_test_server struct test_server *s = test_server_new(replies);
        test_expect(s, ARGV("vm", moves[i], "lab"), 0, "", "");
        auto_test_ran struct test_ran json;
        test_holm(s, &(struct test_run){.argv = ARGV("vm", moves[i], ID_A, "--json")}, &json);
        auto_json json_t *vm = json_loads(buf_str(&json.out), 0, NULL);
        assert_string_equal(json_text(vm, "id"), ID_A);
        auto_buf struct buf out = {0};
        assert_int_equal(test_on_terminal(s, ARGV("vm", moves[i], "lab"), NULL, &out), 0);
        snprintf(want, sizeof(want), "lab %s\n", done[i]);
        assert_string_equal(buf_str(&out), want);
    }
}

/* All names are looked up before anything happens; then one failure does not hold up the others. */
static void test_several(void **state)
{
    auto_test_server struct test_server *s = test_server_new(REPLIES(
        VMS, CALL("POST", VM_A "/pause", 409, "{\"error\":{\"message\":\"it is stopped\"}}"),
        CALL("POST", VM_C "/pause", 200, VM(ID_C, "base", "paused", ""))));
    test_expect(s, ARGV("vm", "pause", "lab", "7"), 125, "", "holm: lab: it is stopped\n");
    assert_int_equal(test_server_count(s, VM_C "/pause"), 1);
    test_expect_error(s, ARGV("vm", "pause", "7", "nosuch"), 125, "there is no VM 'nosuch'");
    assert_int_equal(test_server_count(s, VM_C "/pause"), 1);
    test_expect(s, ARGV("vm", "pause", "lab"), 125, "", "holm: it is stopped\n");
}

static void test_stop_options(void **state)
{
    auto_test_server struct test_server *s = test_server_new(
        REPLIES(VMS, CALL("POST", VM_A "/stop", 200, VM(ID_A, "lab", "stopped", ""))));
    test_expect(s, ARGV("vm", "stop", "-t", "5", "--force", "lab"), 0, "", "");
    assert_string_equal(test_server_body(s), "{\"timeoutSec\":5,\"force\":true}");
    test_expect_error(s, ARGV("vm", "stop", "-t", "x", "lab"), 2,
                      "--timeout takes a whole number of 0 to 3600, not 'x'");
}

static void test_delete(void **state)
{
    auto_test_server struct test_server *s = test_server_new(
        REPLIES(VMS, CALL("DELETE", VM_A, 200, "{\"id\":\"" ID_A "\",\"deleted\":true}"),
                CALL("DELETE", VM_B, 404, "{\"error\":{\"message\":\"no such VM\"}}")));
    test_expect(s, ARGV("vm", "delete", "lab"), 0, "", "");
    test_expect(s, ARGV("vm", "delete", "-f", "lab", "nosuch", ID_B), 0, "", "");
    test_expect_error(s, ARGV("vm", "delete", ID_B), 125, "holm: no such VM\n");
    assert_int_equal(test_server_count(s, VM_A), 2);
    auto_buf struct buf no = {0};
    auto_buf struct buf yes = {0};
    auto_buf struct buf forced = {0};
    assert_int_equal(test_on_terminal(s, ARGV("vm", "delete", "lab"), "n\n", &no), 125);
    test_has(&no, "Delete VM lab and everything in it? [y/N] ");
    test_has(&no, "holm: nothing was done\n");
    assert_int_equal(test_server_count(s, VM_A), 2);
    assert_int_equal(test_on_terminal(s, ARGV("vm", "delete", "lab"), "y\n", &yes), 0);
    test_has(&yes, "lab is deleted\n");
    assert_int_equal(test_on_terminal(s, ARGV("vm", "delete", "-f", "lab"), NULL, &forced), 0);
    assert_string_equal(buf_str(&forced), "lab is deleted\n");
}

static void test_fork(void **state)
{
    auto_test_server struct test_server *s = test_server_new(REPLIES(
        VMS, CALL("POST", VM_A "/fork", 201,
                  "{\"vmId\":\"" ID_A "\",\"pauseMs\":14.2,\"forks\":[{\"id\":\"" ID_B
                  "\",\"readyMs\":231.0,\"vm\":" VM(ID_B, "try-1", "running",
                                                    "") "},{\"id\":\"" ID_C
                                                        "\",\"readyMs\":240,\"vm\":" VM(
                                                            ID_C, "try-2", "running", "") "}]}")));
    test_expect(s, ARGV("vm", "fork", "lab", "-n", "2", "--name", "try", "-m", "a=b"), 0,
                ID_B "\n" ID_C "\n", "");
    assert_string_equal(test_server_body(s),
                        "{\"count\":2,\"name\":\"try\",\"metadata\":{\"a\":\"b\"}}");
    auto_buf struct buf out = {0};
    assert_int_equal(test_on_terminal(s, ARGV("vm", "fork", "lab"), NULL, &out), 0);
    assert_string_equal(test_server_body(s), "{\"count\":1}");
    test_has(&out, "try-1  " ID_B "  running       231\n");
    test_has(&out, "lab stood still for 14.2 ms\n");
    test_expect_error(s, ARGV("vm", "fork", "lab", "-n", "65"), 2,
                      "--count takes a whole number of 1 to 64, not '65'");
}

static void test_changes(void **state)
{
    auto_test_server struct test_server *s = test_server_new(
        REPLIES(VMS,
                OK(VM_A, VM(ID_A, "lab", "running",
                            ",\"ttl\":{\"seconds\":60,\"action\":\"stop\"},\"firewall\":{}")),
                CALL("PATCH", VM_A, 200, VM(ID_A, "x", "running", "")),
                CALL("POST", VM_A "/resize", 200, VM(ID_A, "x", "running", "")),
                CALL("POST", VM_A "/ttl/refresh", 200, VM(ID_A, "x", "running", "")),
                CALL("PATCH", VM_A "/firewall", 200, VM(ID_A, "x", "running", ""))));
    const struct {
        const char *const *argv;
        const char *out, *body;
    } rows[] = {
        {ARGV("vm", "rename", "lab", "x y"), "", "{\"name\":\"x y\"}"},
        {ARGV("vm", "meta", "lab"), "job=7\n", ""},
        {ARGV("vm", "meta", "lab", "a=1", "job=8"), "",
         "{\"metadata\":{\"job\":\"8\",\"a\":\"1\"}}"},
        {ARGV("vm", "meta", "lab", "-u", "job"), "", "{\"metadata\":{}}"},
        {ARGV("vm", "meta", "lab", "--clear", "b=2"), "", "{\"metadata\":{\"b\":\"2\"}}"},
        {ARGV("vm", "ttl", "lab"), "stop after 1m\n", ""},
        {ARGV("vm", "ttl", "lab", "2h"), "", "{\"ttl\":{\"seconds\":7200,\"action\":\"pause\"}}"},
        {ARGV("vm", "ttl", "lab", "none"), "", "{\"ttl\":null}"},
        {ARGV("vm", "ttl", "lab", "--refresh"), "", ""},
        {ARGV("vm", "idle", "lab"), "none\n", ""},
        {ARGV("vm", "idle", "lab", "1d:suspend"), "",
         "{\"idle\":{\"seconds\":86400,\"action\":\"suspend\"}}"},
        {ARGV("vm", "resize", "lab", "--disk", "20", "--type", "c2m4"), "",
         "{\"diskGiB\":20,\"machineType\":\"c2m4\"}"},
        {ARGV("vm", "firewall", "lab"), "{}\n", ""},
        {ARGV("vm", "firewall", "lab", "--no-outbound"), "",
         "{\"egress\":{\"rules\":[],\"default\":\"deny\"}}"},
        {ARGV("vm", "firewall", "lab", "--allow-in", "10.0.0.0/8"), "",
         "{\"ingress\":{\"rules\":[{\"action\":\"allow\",\"kind\":\"cidr\",\"value\":\"10.0.0.0/"
         "8\","
         "\"protocol\":\"any\",\"ports\":\"any\"}],\"default\":\"deny\"}}"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        test_expect(s, rows[i].argv, 0, rows[i].out, "");
        assert_string_equal(test_server_body(s), rows[i].body);
    }
    auto_test_ran struct test_ran merged;
    test_holm(s,
              &(struct test_run){.argv = ARGV("vm", "firewall", "lab", "-", "--merge"),
                                 .input = "{\"dns\":{}}"},
              &merged);
    assert_non_null(strstr(test_server_log(s), "PATCH " VM_A "/firewall {\"dns\":{}}\n"));
    test_expect_error(s, ARGV("vm", "meta", "lab", "-u", "nosuch"), 125,
                      "holm: lab has no metadata 'nosuch'\n");
    test_expect_error(s, ARGV("vm", "ttl", "lab", "1h", "--refresh"), 2, "leave out '1h'");
    test_expect_error(s, ARGV("vm", "resize", "lab"), 2, "what shall change?");
    test_expect_error(s, ARGV("vm", "firewall", "lab", "f", "--no-outbound"), 2,
                      "'f' is the whole policy");
}

static void test_stats(void **state)
{
    auto_test_server struct test_server *s = test_server_new(
        REPLIES(VMS, OK(VM_A "/stats", "{\"cpuMs\":1500,\"memoryBytes\":1048576,\"execs\":2,"
                                       "\"hostAddress\":\"10.1.0.2\"}")));
    test_expect(s, ARGV("vm", "stats", "lab"), 0,
                "cpu           1.500 s\n"
                "memory        1.0 MiB\n"
                "execs         2\n"
                "host address  10.1.0.2\n",
                "");
}

static void test_kinds(void **state)
{
    auto_test_server struct test_server *s = test_server_new(REPLIES(
        OK("/v1/images", "[{\"name\":\"bash\",\"state\":\"ready\",\"detail\":\"\",\"diskGiB\":2},{"
                         "\"name\":\"c\",\"state\":\"missing\",\"detail\":\"build it\"}]"),
        OK("/v1/machine-types", "[{\"name\":\"c1m0.25\",\"cpu\":1,\"memoryMiB\":256}]")));
    test_expect(s, ARGV("vm", "images"), 0,
                "IMAGE  STATE       DISK  DETAIL\n"
                "bash   ready    2.0 GiB\n"
                "c      missing           build it\n",
                "");
    test_expect(s, ARGV("vm", "types"), 0, "TYPE     CPUS   MEMORY\nc1m0.25     1  256 MiB\n", "");
}

#define SNAP(id, name)                                          \
    "{\"id\":\"" id "\",\"name\":\"" name "\",\"vmId\":\"" ID_A \
    "\",\"status\":\"ready\",\"createdAt\":"                    \
    "\"2020-01-01T00:00:00Z\",\"machineType\":\"c1m2\",\"sizeBytes\":3145728,\"pauseMs\":12.5}"

static void test_snapshots(void **state)
{
    auto_test_server struct test_server *s = test_server_new(REPLIES(
        VMS, OK("/v1/snapshots", "[" SNAP(ID_B, "base") "," SNAP(ID_C, "other") "]"),
        CALL("POST", "/v1/snapshots", 201, SNAP(ID_B, "base")),
        OK("/v1/snapshots/" ID_B, SNAP(ID_B, "base")),
        CALL("PATCH", "/v1/snapshots/" ID_B, 200, SNAP(ID_B, "new")),
        CALL("DELETE", "/v1/snapshots/" ID_B, 200, "{}"),
        CALL("DELETE", "/v1/snapshots/" ID_C, 404, "{\"error\":{\"message\":\"none such\"}}")));
    test_expect(s, ARGV("snapshot", "create", "lab", "base"), 0, ID_B "\n", "");
    assert_string_equal(test_server_body(s), "{\"name\":\"base\",\"vmId\":\"" ID_A "\"}");
    auto_buf struct buf out = {0};
    assert_int_equal(test_on_terminal(s, ARGV("snapshot", "create", "lab"), NULL, &out), 0);
    assert_string_equal(buf_str(&out), "snapshot base (" ID_B ") is ready\n"
                                       "lab stood still for 12.5 ms\n");
    auto_test_ran struct test_ran list;
    test_holm(s, &(struct test_run){.argv = ARGV("snapshot", "list")}, &list);
    test_has(&list.out, "base   " ID_B "  ready   c1m2  3.0 MiB  ");
    auto_test_ran struct test_ran show;
    test_holm(s, &(struct test_run){.argv = ARGV("snapshot", "show", "base")}, &show);
    test_has(&show.out, "size         3.0 MiB\n");
    test_expect(s, ARGV("snapshot", "rename", "base", "new"), 0, "", "");
    assert_string_equal(test_server_body(s), "{\"name\":\"new\"}");
    test_expect(s, ARGV("snapshot", "delete", "base"), 0, "", "");
    test_expect(s, ARGV("snapshot", "delete", "-f", "base", "other", "nosuch"), 0, "", "");
    test_expect_error(s, ARGV("snapshot", "delete", "other"), 125, "holm: none such\n");
    test_expect_error(s, ARGV("snapshot", "show", "bsae"), 125,
                      "there is no snapshot 'bsae' (did you mean 'base'?); 'holm snapshot list'");
}

static void test_groups(void **state)
{
    test_expect_error(NULL, ARGV("vm", "craete"), 2,
                      "there is no command 'vm craete'; did you mean 'vm create'?\n"
                      "Try 'holm vm --help'.\n");
    test_expect_error(NULL, ARGV("help", "vm", "nosuch"), 2, "there is no command 'vm nosuch'\n");
    test_expect_error(NULL, ARGV("vm"), 2,
                      "holm vm - Make, use and end virtual machines that stay");
    test_expect_error(NULL, ARGV("vm", "--nosuch"), 2, "unknown option '--nosuch'");
    test_expect_error(NULL, ARGV("vm", "--key"), 2, "option '--key' needs a value");
}

int main(int argc, char **argv)
{
    assert_true(argc > 1);
    test_holm_set(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_list_on_a_terminal),
        cmocka_unit_test(test_show),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_create_waits),
        cmocka_unit_test(test_create_mistakes),
        cmocka_unit_test(test_firewall_file),
        cmocka_unit_test(test_server_errors),
        cmocka_unit_test(test_moves),
        cmocka_unit_test(test_several),
        cmocka_unit_test(test_stop_options),
        cmocka_unit_test(test_delete),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_stats),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_snapshots),
        cmocka_unit_test(test_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
