import java.util.*;
class Helper { static final Map<String, Integer> m = new HashMap<>(); }
public class Main { public static void main(String[] a) { List l = new ArrayList(); l.add(new Integer(3)); System.out.println(l); Helper.m.put("a", 1); System.out.println(Helper.m + new Random(5).toString().substring(0, 10) + new Random(5).nextInt()); } }
