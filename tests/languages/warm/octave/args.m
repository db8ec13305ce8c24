printf("%d\n", nargin);
printf("[%s]\n", argv(){:});
disp(size(argv()))
disp(program_name()), disp(program_invocation_name())
