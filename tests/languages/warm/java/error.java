import java.util.*;
public class Main {
    static int deep(int n) { return n == 0 ? Integer.parseInt("x") : deep(n - 1) + 1; }
    public static void main(String[] args) {
        Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("leaving")));
        try { List.of(1).add(2); } catch (UnsupportedOperationException e) { e.printStackTrace(); }
        new Thread(() -> { throw new RuntimeException("in a thread"); }, "other").start();
        Thread t = new Thread(() -> { try { Thread.sleep(100); } catch (InterruptedException e) { } System.out.println("outlives main"); });
        t.start();
        try { t.join(); } catch (InterruptedException e) { }
        deep(3);
    }
}
