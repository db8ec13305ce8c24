// SPDX-License-Identifier: Apache-2.0
package holm;

import groovy.lang.Binding;
import groovy.lang.GroovyShell;
import java.io.PrintWriter;
import java.io.Writer;

/**
 * What a Groovy that waits does first: runs a small script, so that the compiler and what most scripts need is loaded
 * (docs/warm.md). The script prints to nobody.
 */
final class Groovy {
    private static final String SCRIPT =
            "class Point { int x; String toString() { \"($x)\" } }\n"
                    + "def points = [1, 2].collect { new Point(x: it) }\n"
                    + "println points.join(', ')\n"
                    + "def text = [a: 1].each { k, v -> print \"$k=$v \" }.toString()\n"
                    + "for (i in 0..<2) { if (i % 2 == 0) { printf('%d %s%n', i, text) } }\n";

    private Groovy() {}

    static void rehearse() {
        Binding binding = new Binding();
        binding.setVariable("out", new PrintWriter(Writer.nullWriter()));
        new GroovyShell(binding).evaluate(SCRIPT, "main.groovy");
    }
}
