import java.util.List;
public class Main {
    public static void main(String[] args) {
        int x = "a";
        List l = new java.util.ArrayList(); l.add(1);
        undefined();
    }
}
