#import <Foundation/Foundation.h>
#include <stdio.h>

int main(void)
{
    NSAutoreleasePool *pool = [NSAutoreleasePool new];
    NSString *line = [@"" stringByPaddingToLength:63 withString:@"x" startingAtIndex:0];
    for (int i = 0; i < 16384; i++)
        puts([line UTF8String]);
    [pool release];
    return 0;
}
