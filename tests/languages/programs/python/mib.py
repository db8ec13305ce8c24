for _ in range(16384):
    print("x" * 63)
