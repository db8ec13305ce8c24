#import <Foundation/Foundation.h>

int main(void)
{
    NSAutoreleasePool *pool = [NSAutoreleasePool new];
    NSFileHandle *from = [NSFileHandle fileHandleWithStandardInput];
    NSFileHandle *to = [NSFileHandle fileHandleWithStandardOutput];
    [to writeData:[from readDataToEndOfFile]];
    [pool release];
    return 0;
}
