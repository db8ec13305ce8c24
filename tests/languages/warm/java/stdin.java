import java.io.*;
public class Main { public static void main(String[] a) throws Exception { byte[] d = System.in.readAllBytes(); System.out.println(d.length + " " + java.util.Arrays.hashCode(d) + " " + System.in.read()); System.err.println("ÄÖÜ 漢字 🙂"); System.out.println("ÄÖÜ 漢字 🙂"); } }
