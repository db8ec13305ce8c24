; With the C library: `main` makes it be linked.
global main
extern puts

section .data
text: db "ÄÖÜ 漢字 🙂", 0

section .text
main:
    sub rsp, 8
    mov rdi, text
    call puts
    xor eax, eax
    add rsp, 8
    ret
