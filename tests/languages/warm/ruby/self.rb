p __FILE__, $0, $PROGRAM_NAME, __dir__, ARGV, __method__, self.to_s
p $LOADED_FEATURES.grep(/holm/), $LOAD_PATH.grep(/holm/), $-v, $-w, $-d, $;, $,, $/
p Object.private_instance_methods(false).size, Object.constants.size, Kernel.methods.size
p global_variables.sort.size, local_variables, TOPLEVEL_BINDING.local_variables
p ENV.to_a, Dir.pwd, $stdin.tty?, $stdin.fileno, Encoding.default_external, Encoding.default_internal
p caller, binding.local_variables, defined?(SecureRandom), defined?(Set), Thread.list.size
p $LOADED_FEATURES.size, ObjectSpace.each_object(TracePoint).count { |t| t.enabled? }, method(:require).source_location, require('json')
