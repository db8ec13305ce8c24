IO.inspect({System.get_env("GREETING"), System.get_env("EMPTY"), System.get_env("NONE")})
for {name, value} <- Enum.sort(System.get_env()), name != "PWD", do: IO.puts("#{name}=#{value}")
{text, 0} = System.cmd("sh", ["-c", "env | sort | grep -v '^PWD='; ls /proc/self/fd | wc -l"])
IO.write(text)
