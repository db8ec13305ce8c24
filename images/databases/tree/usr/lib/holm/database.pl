# SPDX-License-Identifier: Apache-2.0
# A database server that is there for one program, and the client that runs it (docs/warm.md): what
# /usr/lib/holm/mysql and /usr/lib/holm/postgresql have in common. Waiting or not, it is the same
# until there is a program: data of its own, the server, and one client that has been served. Then
# this process becomes the client.
package Database;

use strict;
use warnings;

use Fcntl qw(F_SETFD FD_CLOEXEC);
use POSIX ();
use Socket qw(AF_UNIX SOCK_DGRAM pack_sockaddr_un);

# All that the server and what it starts see of an environment.
my %SERVER_ENV = (
    PATH => '/usr/sbin:/usr/bin:/sbin:/bin',
    HOME => '/home/user',
    LANG => 'C.UTF-8',
);

# Says why on the program's standard error, with what a command has written to a file.
sub fail {
    my ($why, $output) = @_;
    print STDERR "$why\n";
    if ($output && open(my $in, '<', $output)) {
        print STDERR <$in>;
    }
    exit 1;
}

# Starts a command that writes to a file, with a descriptor that it holds as long as it lives.
sub start {
    my ($output, $held, @command) = @_;
    my $pid = fork // fail("fork: $!");
    return $pid if $pid;
    %ENV = %SERVER_ENV;
    fcntl($held, F_SETFD, 0) if $held;
    open(STDIN, '<', '/dev/null')
        && open(STDOUT, '>>', $output)
        && open(STDERR, '>&', \*STDOUT)
        && exec {$command[0]} @command;
    POSIX::_exit(127);
}

sub run {
    my ($output, @command) = @_;
    waitpid(start($output, undef, @command), 0);
    fail("$command[0] failed", $output) if $?;
}

# A directory with a copy of the data, for programs in the working directory: there is one at a time.
sub make_home {
    my ($name) = @_;
    my $home = "/var/tmp/$name" . POSIX::getcwd();
    run('/dev/null', '/bin/sh', '-c', 'rm -rf "$1" && mkdir -p "$1" && cp -a "$2" "$1/data"',
        'sh', $home, "/var/lib/holm/$name");
    return $home;
}

# Starts the server, and returns when it has said, as it would to systemd, that it is ready.
sub start_server {
    my ($home, @command) = @_;
    my ($log, $notify, $said) = ("$home/log", "$home/notify", '');
    $SERVER_ENV{NOTIFY_SOCKET} = $notify;
    my ($socket, $gone, $held);
    socket($socket, AF_UNIX, SOCK_DGRAM, 0)
        && bind($socket, pack_sockaddr_un($notify))
        && pipe($gone, $held)
        or fail("$notify: $!");
    start($log, $held, @command);
    close($held);
    until ($said =~ /^READY=1$/m) {
        my $any = '';
        vec($any, fileno($_), 1) = 1 for $socket, $gone;
        select($any, undef, undef, undef);
        fail("$command[0] has ended", $log) if vec($any, fileno($gone), 1);
        recv($socket, $said, 4096, 0);
    }
}

sub read_exactly {
    my ($in, $size) = @_;
    my $data = '';
    while (length($data) < $size) {
        sysread($in, $data, $size - length($data), length($data)) or exit 0;    # nobody wants it
    }
    return $data;
}

# Waits for the program as docs/agent-protocol.md has it, and returns its arguments.
sub take_job {
    my ($jobs, $answers) = @_;
    my $size = '';
    syswrite($answers, 'R');
    while ((my $digit = read_exactly($jobs, 1)) ne "\n") {
        $size .= $digit;
    }
    my ($verb, $directory, @fields) = split(/\0/, read_exactly($jobs, $size), -1);
    my @args = splice(@fields, 0, shift(@fields));
    my @env = splice(@fields, 0, shift(@fields));
    %ENV = ();
    for (@env) {
        my ($name, $value) = split(/=/, $_, 2);
        $ENV{$name} = $value;
    }
    chdir($directory);
    return @args;
}

# What a script does that is started as `SCRIPT [--wait] FILE ARGUMENT...`. NAME is that of the data,
# SERVER->(HOME) and CLIENT->(HOME, FILE, ARGUMENT...) are commands; the data is in HOME/data.
sub serve {
    my ($name, $server, $client) = @_;
    my ($file, @args) = @ARGV;
    my @pipes;
    if ($file eq '--wait') {
        $file = shift(@args);
        open($pipes[0], '<&=', 3) && open($pipes[1], '>&=', 4) or fail("nothing to wait for: $!");
        fcntl($_, F_SETFD, FD_CLOEXEC) for @pipes;
    }
    my $home = make_home($name);
    start_server($home, $server->($home));
    run("$home/log", $client->($home, '/dev/null'));
    @args = take_job(@pipes) if @pipes;
    my @command = $client->($home, $file, @args);
    exec {$command[0]} @command or fail("$command[0]: $!");
}

1;
