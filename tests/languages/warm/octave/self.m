disp(argv()); disp(program_name()); disp(getenv("GREETING")); disp(pwd()); x = fgetl(stdin); disp(x); disp("ÄÖÜ 漢字"); who
[s, o] = system("env | sort; ls /proc/self/fd | wc -l"); disp(o); rand("seed", 1); function r = f(x) r = x + undefined_thing; end
f(1)
