#include <stdio.h>
#include <string.h>

int main(void)
{
    char line[64] = {0};
    memset(line, 'x', 63);
    for (int i = 0; i < 16384; i++)
        puts(line);
}
