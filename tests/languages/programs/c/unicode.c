#include <stdio.h>

int main(void)
{
    puts("ÄÖÜ 漢字 🙂");
}
