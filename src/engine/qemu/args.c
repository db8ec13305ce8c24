/* SPDX-License-Identifier: Apache-2.0 */

/* Choices, and what was seen that led to them:
 * - `pc`, not `microvm`: under TCG about half of all microvm boots hang in timer calibration.
 * - no erms under TCG: with it Linux copies and clears by `rep movsb/stosb`, which TCG does a byte
 *   at a time. Without: reading zeros 4 times as fast, writing files 2 times.
 * - no balloon: discarding guest pages would punch holes into the memory backend's file, which is
 *   the template.
 * - disks, sockets, memory, state: all are inherited descriptors, no file is opened by name. So the
 *   jail needs nothing but programs and libraries.
 * - the serial console is a socket, like the agent's; what nobody listens to is kept nowhere, so an
 *   endlessly writing guest fills nothing up.
 * - the network card is the same in every machine, with or without a tap behind it, and without
 *   offloads, which QEMU grants by what is behind it: a template taken with them could not be
 *   restored without.
 * - format and file nodes are named by their layer, "l2" and "f2", so a capture can tell them
 *   apart; "n2" is a file whose flushes are not passed on. */

#include "engine/qemu/args.h"

#include "base/limits.h"

/* tsc=unstable would cost; lpj is left to the kernel. random.trust_cpu: the first random bytes need
 * no waiting. panic=-1 with reboot=t turns a panic into a reset, and -no-reboot that into the
 * monitor's end, which the host notices. mitigations=off: what they guard
 * inside a guest, its kernel from its own programs, is thrown away with the guest. */
#define KERNEL_COMMAND_LINE                                                                \
    "console=ttyS0 quiet loglevel=4 reboot=t panic=-1 random.trust_cpu=on no_timer_check " \
    "nomodule_sig cryptomgr.notests tsc=reliable mitigations=off"

static const char *on_off(bool on)
{
    return on ? "true" : "false";
}

void args_file_node(struct argv *a, int number, int set, bool writable, bool no_flush)
{
    /* locking: QEMU's locks are made for files opened by name; frozen layers are shared anyway. */
    char name[ARGS_WORD_SIZE];
    args_file_name(number, no_flush, name);
    argv_add(a,
             "{\"driver\":\"file\",\"node-name\":\"%s\",\"filename\":\"/dev/fdset/%d\","
             "\"read-only\":%s,\"locking\":\"off\",\"discard\":\"unmap\","
             "\"cache\":{\"direct\":false,\"no-flush\":%s}}",
             name, set, on_off(!writable), on_off(no_flush));
}

void args_file_name(int number, bool no_flush, char ret[ARGS_WORD_SIZE])
{
    snprintf(ret, ARGS_WORD_SIZE, "%c%d", no_flush ? 'n' : 'f', number);
}

void args_layer_node(struct argv *a, const struct args_layer *layer)
{
    char backing[32] = "null", file[ARGS_WORD_SIZE];
    args_file_name(layer->number, layer->no_flush, file);
    if (layer->number == 0) {
        argv_add(a, "{\"driver\":\"raw\",\"node-name\":\"l0\",\"file\":\"%s\",\"read-only\":true}",
                 file);
        return;
    }
    if (layer->backing != ARGS_NO_BACKING)
        snprintf(backing, sizeof(backing), "\"l%d\"", layer->backing);
    argv_add(a,
             "{\"driver\":\"qcow2\",\"node-name\":\"l%d\",\"file\":\"%s\",\"backing\":%s,"
             "\"read-only\":%s,\"discard\":\"unmap\",\"detect-zeroes\":\"unmap\","
             "\"cache\":{\"direct\":false,\"no-flush\":%s}}",
             layer->number, file, backing, on_off(!layer->writable), on_off(layer->no_flush));
}

void args_write_word(int number, char ret[ARGS_WORD_SIZE])
{
    snprintf(ret, ARGS_WORD_SIZE, "write-%d", number);
}

static void add_machine(struct argv *a, const struct args_spec *spec)
{
    /* suppress-vmdesc and send-configuration: what xen-save-devices-state writes has neither. */
    argv_add(a, "-M");
    argv_add(a, "pc,memory-backend=ram0,suppress-vmdesc=on,usb=off,vmport=off,graphics=off,"
                "mem-merge=off,dump-guest-core=off");
    argv_add(a, "-global");
    argv_add(a, "migration.send-configuration=off");
    argv_add(a, "-accel");
    if (spec->kvm)
        argv_add(a, "kvm");
    else
        argv_add(a, "tcg,thread=multi,tb-size=%d", ENGINE_TCG_CACHE_MIB);
    argv_add(a, "-cpu");
    argv_add(a, spec->kvm ? "host,migratable=on" : "max,-erms,-fsrm");
    argv_add(a, "-smp");
    argv_add(a, "%d", spec->shape.vcpus);
    argv_add(a, "-m");
    argv_add(a, "%d", spec->shape.memory_mib);
    argv_add(a, "-object");
    argv_add(a,
             "memory-backend-file,id=ram0,size=%dM,mem-path=" ARGS_MEMORY_NAME
             ",share=off,merge=off,dump=off",
             spec->shape.memory_mib);
    argv_add(a, "-nodefaults");
    argv_add(a, "-no-user-config");
    argv_add(a, "-no-reboot");
    argv_add(a, "-display");
    argv_add(a, "none");
    argv_add(a, "-sandbox");
    argv_add(a, "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
}

static void add_disk(struct argv *a, const struct args_spec *spec)
{
    const struct layers *chain = spec->chain;
    for (int i = 0; i < chain->n; i++) {
        struct args_layer layer = {.number = chain->number[i],
                                   .backing = i ? chain->number[i - 1] : ARGS_NO_BACKING,
                                   .writable = i == chain->n - 1,
                                   .no_flush = spec->ephemeral};
        char word[ARGS_WORD_SIZE];
        args_write_word(layer.number, word);
        argv_add(a, "-add-fd");
        argv_add(a, "fd=%d,set=%d%s%s", spec->layer_fds[i], i + 1, layer.writable ? ",opaque=" : "",
                 layer.writable ? word : "");
        if (layer.writable) {
            /* Freezing reopens it for reading, which finds its descriptor in the same set. */
            argv_add(a, "-add-fd");
            argv_add(a, "fd=%d,set=%d", spec->top_read_fd, i + 1);
        }
        argv_add(a, "-blockdev");
        args_file_node(a, layer.number, i + 1, layer.writable, spec->ephemeral);
        argv_add(a, "-blockdev");
        args_layer_node(a, &layer);
    }
    /* A host disk that is full is an error in the guest; by default QEMU would stop the VM. */
    argv_add(a, "-device");
    argv_add(a, "virtio-blk-pci,drive=l%d,id=disk,werror=report,rerror=report", layers_top(chain));
}

static void add_links(struct argv *a, const struct args_spec *spec)
{
    argv_add(a, "-device");
    argv_add(a, "virtio-serial-pci,id=ports");
    argv_add(a, "-chardev");
    argv_add(a, "socket,id=agent,fd=%d,server=on,wait=off", spec->agent_fd);
    argv_add(a, "-device");
    argv_add(a, "virtserialport,bus=ports.0,chardev=agent,name=org.holm.agent");
    argv_add(a, "-object");
    argv_add(a, "rng-builtin,id=rng");
    argv_add(a, "-device");
    argv_add(a, "virtio-rng-pci,rng=rng");
    argv_add(a, "-chardev");
    argv_add(a, "socket,id=qmp,fd=%d,server=on,wait=off", spec->qmp_fd);
    argv_add(a, "-mon");
    argv_add(a, "chardev=qmp,mode=control");
}

static void add_console(struct argv *a, const struct args_spec *spec)
{
    argv_add(a, "-chardev");
    argv_add(a, "socket,id=console,fd=%d,server=on,wait=off", spec->console_fd);
    argv_add(a, "-serial");
    argv_add(a, "chardev:console");
}

static void add_network(struct argv *a, const struct args_spec *spec)
{
    argv_add(a, "-netdev");
    if (spec->tap_fd >= 0)
        argv_add(a, "tap,id=net,fd=%d", spec->tap_fd);
    else
        argv_add(a, "hubport,id=net,hubid=0"); /* a hub with nobody else on it */
    argv_add(a, "-device");
    argv_add(a, "virtio-net-pci,netdev=net,id=nic,mac=" ARGS_MAC ",romfile=,csum=off,gso=off,"
                "guest_csum=off,guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off,"
                "host_tso4=off,host_tso6=off,host_ecn=off,host_ufo=off");
}

void args_build(struct argv *a, const struct args_spec *spec)
{
    add_machine(a, spec);
    add_disk(a, spec);
    add_links(a, spec);
    add_console(a, spec);
    add_network(a, spec);
    if (spec->state_fd >= 0) {
        /* Neither kernel nor initramfs: they are in the loaded memory, and a reset ends the VM. */
        argv_add(a, "-incoming");
        argv_add(a, "fd:%d", spec->state_fd);
        return;
    }
    argv_add(a, "-kernel");
    argv_add(a, ARGS_KERNEL_NAME);
    argv_add(a, "-initrd");
    argv_add(a, ARGS_INITRD_NAME);
    argv_add(a, "-append");
    argv_add(a, KERNEL_COMMAND_LINE);
}

const char *args_machine_word(bool kvm)
{
    return kvm ? "pc/kvm/host" : "pc/tcg/max-erms-fsrm";
}
