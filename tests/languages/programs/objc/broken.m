#import <Foundation/Foundation.h>

int main(void)
{
    NSString *text = @"one";
    return [text length] + undeclared;
}
