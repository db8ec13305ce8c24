    .globl main
    .data
text:
    .asciz "ÄÖÜ 漢字 🙂"

    .text
main:
    sub $8, %rsp
    mov $text, %edi
    call puts
    xor %eax, %eax
    add $8, %rsp
    ret
