# Without the C library: system calls alone.
    .globl _start
    .bss
buffer:
    .skip 4096

    .text
_start:
    xor %eax, %eax              # read(0, buffer, 4096)
    xor %edi, %edi
    lea buffer(%rip), %rsi
    mov $4096, %edx
    syscall
    test %rax, %rax
    jle 1f
    mov %rax, %rdx              # write(1, buffer, n)
    mov $1, %eax
    mov $1, %edi
    lea buffer(%rip), %rsi
    syscall
    jmp _start
1:  mov $60, %eax               # exit(0)
    xor %edi, %edi
    syscall
