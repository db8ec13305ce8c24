IO.inspect(System.argv()); IO.inspect(Enum.sort(System.get_env())); IO.inspect(File.cwd!()); IO.inspect(IO.gets("")); IO.puts("ÄÖÜ 漢字 🙂"); IO.inspect(__ENV__.file)
IO.inspect(System.cmd("sh", ["-c", "ls /proc/self/fd | wc -l; env | sort"])); System.at_exit(fn s -> IO.inspect(s) end); IO.inspect(Code.required_files()); IO.inspect(length(Process.list()) > 5)
defmodule M do def f(0), do: raise("no"); def f(n), do: 1 + f(n - 1) end
M.f(2)
