#import <Foundation/Foundation.h>
#include <stdio.h>

int main(void)
{
    NSAutoreleasePool *pool = [NSAutoreleasePool new];
    NSString *text = [NSString stringWithUTF8String:"ÄÖÜ 漢字 🙂"];
    printf("%s\n", [text UTF8String]);
    [pool release];
    return 0;
}
