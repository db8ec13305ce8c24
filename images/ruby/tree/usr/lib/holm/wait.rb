# SPDX-License-Identifier: Apache-2.0
# frozen_string_literal: true

# Makes `ruby -r/usr/lib/holm/wait.rb main.rb` wait, and become the program that a job describes
# (docs/warm.md). Nothing defined here is left: one lambda, called once.
#
# Ruby looks at the first two bytes of the program before it loads anything, RubyGems included, and
# at the rest after what -r names. So the file is only a byte order mark at first, which Ruby skips.
# The program is written over it; the file's position is set to its start, behind what Ruby has got.
# Two kinds of programs have to be looked at from their first byte: those that say options in a #!
# line, and those in other encodings. They start over, as any Ruby does.
lambda do
  jobs = IO.for_fd(3, 'rb')
  answers = IO.for_fd(4, 'wb')
  [jobs, answers].each { |io| io.close_on_exec = true }
  script = ObjectSpace.each_object(File).find { |f| !f.closed? && f.path == $PROGRAM_NAME }
  answers.syswrite('R')
  length = jobs.gets or exit!(0)
  fields = jobs.read(Integer(length, 10)).force_encoding(Encoding.default_external).split("\0", -1)
  fields.shift # always `run`
  cwd = fields.shift
  args = fields.shift(fields.shift.to_i)
  env = fields.shift(fields.shift.to_i).to_h { |variable| variable.split('=', 2) }
  jobs.close
  answers.close
  Dir.chdir(cwd) unless Dir.pwd == cwd
  head = IO.binread($PROGRAM_NAME, 512).to_s.lines.first(2)
  if head.first&.start_with?('#!') || head.any? { |line| line.match?(/coding/i) }
    exec(env, ['ruby', 'ruby'], $PROGRAM_NAME, *args, unsetenv_others: true)
  end
  IO.for_fd(script.fileno, autoclose: false).sysseek(0)
  ARGV.replace(args)
  ENV.clear
  env.each { |name, value| ENV[name] = value }
  # What follows must not be the same in two copies of this process.
  srand
  # This file is noted as loaded when the `require` that runs it is about to return.
  noted = TracePoint.new(:return) do
    noted.disable
    $LOADED_FEATURES.delete(__FILE__)
  end
  noted.enable(target: Kernel.instance_method(:require))
end.call
