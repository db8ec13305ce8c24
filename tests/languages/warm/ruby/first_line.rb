p 1; nofoo; __LINE__
