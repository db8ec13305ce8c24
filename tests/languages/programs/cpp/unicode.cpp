#include <iostream>
#include <string>

int main()
{
    std::string text = "ÄÖÜ 漢字 🙂";
    std::cout << text << std::endl;
}
