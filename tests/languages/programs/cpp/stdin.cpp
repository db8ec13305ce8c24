#include <iostream>

int main()
{
    if (std::cin.peek() != std::char_traits<char>::eof())
        std::cout << std::cin.rdbuf();
}
