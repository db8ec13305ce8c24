while (1,)
