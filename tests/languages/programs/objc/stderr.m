#import <Foundation/Foundation.h>
#include <stdio.h>

int main(void)
{
    NSAutoreleasePool *pool = [NSAutoreleasePool new];
    NSString *text = [NSString stringWithFormat:@"oo%cs", 'p'];
    fprintf(stderr, "%s\n", [text UTF8String]);
    [pool release];
    return 0;
}
