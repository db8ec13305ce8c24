global _start

section .data
text: db "oops", 10
.len: equ $ - text

section .text
_start:
    mov eax, 1
    mov edi, 2
    lea rsi, [rel text]
    mov edx, text.len
    syscall
    mov eax, 60
    xor edi, edi
    syscall
