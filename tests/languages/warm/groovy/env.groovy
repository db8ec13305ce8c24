println System.getenv().sort(); println 'env'.execute().text.readLines().sort(); println 'ls /proc/self/fd'.execute().text.readLines().size()
