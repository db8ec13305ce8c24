// SPDX-License-Identifier: Apache-2.0
package holm;

import java.io.DataInputStream;
import java.io.EOFException;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Makes a compiler wait (docs/warm.md): as an agent of the JVM it is asked before the main class is
 * loaded. Rehearsals compile in this process, so what a compilation needs is loaded, translated and
 * in caches. After `run` it steps aside: the JVM calls the compiler's own main, with the arguments
 * that it was started with. What javac's does is done here: its process then ends at once, without the
 * JVM's farewell, which takes longer than the process that waits for it has patience.
 *
 * Rehearsals write to the real streams, which the agent throws away until then: Scala keeps those that
 * it has found first.
 */
public final class Wait {
    private static final int BODY_MAX = 8 << 20;
    private static final String JAVAC = "com.sun.tools.javac.Main";

    private Wait() {}

    /** `options` names a runtime that is to be warmed up, and waits by itself then. */
    public static void premain(String options) throws Exception {
        if ("groovy".equals(options)) {
            Groovy.rehearse();
            return;
        }
        String[] command = System.getProperty("sun.java.command").split(" ");
        String[] args = Arrays.copyOfRange(command, 1, command.length);
        System.load("/usr/lib/holm/wait.so");
        try (DataInputStream jobs = new DataInputStream(new FileInputStream("/proc/self/fd/3"));
                OutputStream answers = new FileOutputStream("/proc/self/fd/4")) {
            for (;;) {
                answers.write('R');
                List<String> fields = read(jobs);
                if (fields.get(0).equals("run")) {
                    break;
                }
                rehearse(command[0], args, fields.get(1));
            }
        } catch (EOFException e) {
            Runtime.getRuntime().halt(0);
        }
        if (command[0].equals(JAVAC)) {
            exit(javac(args));
        }
    }

    /** Ends the process, and nothing else. */
    private static native void exit(int code);

    private static int javac(String[] args) throws Exception {
        return (int) Class.forName(JAVAC).getMethod("compile", String[].class).invoke(null, (Object) args);
    }

    private static List<String> read(DataInputStream jobs) throws IOException {
        int length = 0;
        for (int c = jobs.readUnsignedByte(); c != '\n'; c = jobs.readUnsignedByte()) {
            length = 10 * length + c - '0';
            if (c < '0' || c > '9' || length > BODY_MAX) {
                throw new IOException("no length of a job");
            }
        }
        byte[] body = new byte[length];
        jobs.readFully(body);
        return Arrays.asList(new String(body, StandardCharsets.UTF_8).split("\0", -1));
    }

    private static boolean isSource(String name) {
        return name.endsWith(".java") || name.endsWith(".kt") || name.endsWith(".scala");
    }

    /** The same arguments, for another directory. */
    private static String[] in(String[] args, String dir) {
        List<String> moved = new ArrayList<>();
        boolean said = false;
        for (int i = 0; i < args.length; i++) {
            if (args[i].equals("-d")) {
                moved.add("-d");
                moved.add(dir);
                said = true;
                i++;
            } else {
                moved.add(isSource(args[i]) ? dir + "/" + args[i] : args[i]);
            }
        }
        if (!said) {
            moved.add(0, dir);
            moved.add(0, "-d");
        }
        return moved.toArray(new String[0]);
    }

    /** As the compilers' own main functions do it, but those end the process. */
    private static void rehearse(String main, String[] args, String dir) throws Exception {
        Class<?> c = Class.forName(main);
        String[] moved = in(args, dir);
        if (main.equals(JAVAC)) {
            javac(moved);
        } else if (main.equals("scala.tools.nsc.Main")) {
            c.getMethod("process", String[].class).invoke(null, (Object) moved);
        } else {
            Method exec = c.getMethod("exec", PrintStream.class, String[].class);
            exec.invoke(c.getConstructor().newInstance(), System.err, moved);
        }
    }
}
