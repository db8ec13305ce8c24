#import <Foundation/Foundation.h>
#include <stdlib.h>

@interface Ender : NSObject
- (void)endWith:(int)status;
@end

@implementation Ender
- (void)endWith:(int)status
{
    exit(status);
}
@end

int main(void)
{
    NSAutoreleasePool *pool = [NSAutoreleasePool new];
    Ender *ender = [[[Ender alloc] init] autorelease];
    [ender endWith:3];
    [pool release];
    return 0;
}
