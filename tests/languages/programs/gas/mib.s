    .globl main
    .data
line:
    .fill 63, 1, 'x'
    .byte 0

    .text
main:
    push %rbx
    mov $16384, %ebx
1:  lea line(%rip), %rdi
    call puts@PLT
    dec %ebx
    jnz 1b
    xor %eax, %eax
    pop %rbx
    ret
