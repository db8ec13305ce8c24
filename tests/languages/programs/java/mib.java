public class Main {
    public static void main(String[] args) {
        String x = "x".repeat(63);
        for (int i = 0; i < 16384; i++) {
            System.out.println(x);
        }
    }
}
