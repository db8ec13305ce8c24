/* SPDX-License-Identifier: Apache-2.0 */

/* holm-kvm-probe: prints how many microseconds KVM takes for a loop of 1,000,000 turns in 64-bit
 * kernel mode, and exits 0; or says what failed and exits 1. A program of its own so that a KVM
 * that hangs can be killed. See accel.h for the reason. */

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#define MEMORY_BYTES (2u << 20)
#define TURNS 1000000u
#define CPUID_MAX 256u
#define PML4_AT 0x1000u
#define PDPT_AT 0x2000u
#define PD_AT 0x3000u
#define CODE_AT 0x100000u

#define PRESENT_WRITABLE 3u
#define LARGE_PAGE 0x80u

static int fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    return 1;
}

/* One 2 MiB page, identity mapped, and the program in it. */
static void fill_memory(unsigned char *memory)
{
    unsigned char code[] = {
        0xb9, 0,    0,    0, 0, /* mov ecx, TURNS */
        0x48, 0xff, 0xc9,       /* dec rcx */
        0x75, 0xfb,             /* jnz to the dec */
        0xf4,                   /* hlt: back to us */
    };
    uint32_t turns = TURNS;
    uint64_t pml4 = PDPT_AT | PRESENT_WRITABLE, pdpt = PD_AT | PRESENT_WRITABLE;
    uint64_t pd = LARGE_PAGE | PRESENT_WRITABLE;
    memcpy(code + 1, &turns, sizeof(turns));
    memcpy(memory + PML4_AT, &pml4, sizeof(pml4));
    memcpy(memory + PDPT_AT, &pdpt, sizeof(pdpt));
    memcpy(memory + PD_AT, &pd, sizeof(pd));
    memcpy(memory + CODE_AT, code, sizeof(code));
}

/* 64-bit kernel mode with paging; segments as the CPU would cache them, so no GDT is needed. */
static int set_registers(int vcpu)
{
    struct kvm_sregs s;
    if (ioctl(vcpu, KVM_GET_SREGS, &s) < 0)
        return -1;
    struct kvm_segment code = {
        .limit = 0xffffffff, .selector = 8, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1};
    struct kvm_segment data = {
        .limit = 0xffffffff, .selector = 16, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1};
    s.cs = code;
    s.ds = s.es = s.fs = s.gs = s.ss = data;
    s.cr0 = 0x80000011;
    s.cr3 = PML4_AT;
    s.cr4 = 0x20;
    s.efer = 0x500;
    struct kvm_regs regs = {.rip = CODE_AT, .rflags = 2};
    return ioctl(vcpu, KVM_SET_SREGS, &s) < 0 ? -1 : ioctl(vcpu, KVM_SET_REGS, &regs);
}

/* Long mode must be in the CPU's description before EFER may be set. */
static int set_cpuid(int kvm, int vcpu)
{
    struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + CPUID_MAX * sizeof(cpuid->entries[0]));
    if (!cpuid)
        return -1;
    cpuid->nent = CPUID_MAX;
    int r = ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid);
    if (r >= 0)
        r = ioctl(vcpu, KVM_SET_CPUID2, cpuid);
    free(cpuid);
    return r;
}

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int run(int kvm, int vcpu)
{
    int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    struct kvm_run *state =
        size > 0 ? mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0)
                 : MAP_FAILED;
    if (state == MAP_FAILED)
        return fail("map vCPU");
    int64_t start_us = now_us();
    while (ioctl(vcpu, KVM_RUN, 0) < 0)
        if (errno != EINTR)
            return fail("run vCPU");
    int64_t took_us = now_us() - start_us;
    if (state->exit_reason != KVM_EXIT_HLT) {
        fprintf(stderr, "the guest stopped for reason %u instead of halting\n", state->exit_reason);
        return 1;
    }
    printf("%lld\n", (long long)took_us);
    return 0;
}

int main(void)
{
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
    if (vm < 0)
        return fail("make VM");
    /* Intel without unrestricted guests wants a place for three pages of its own. */
    (void)ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000ul);
    unsigned char *memory =
        mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return fail("map memory");
    fill_memory(memory);
    struct kvm_userspace_memory_region region = {.memory_size = MEMORY_BYTES,
                                                 .userspace_addr = (uintptr_t)memory};
    if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
        return fail("give memory");
    int vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
    if (vcpu < 0 || set_cpuid(kvm, vcpu) < 0 || set_registers(vcpu) < 0)
        return fail("make vCPU");
    return run(kvm, vcpu);
}
