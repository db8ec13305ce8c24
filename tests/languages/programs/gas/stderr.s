    .intel_syntax noprefix
    .globl _start

    .data
text:
    .ascii "oops\n"
    .equ length, . - text

    .text
_start:
    mov eax, 1
    mov edi, 2
    lea rsi, text[rip]
    mov edx, OFFSET length
    syscall
    mov eax, 60
    xor edi, edi
    syscall
