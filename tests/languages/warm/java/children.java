public class Main { public static void main(String[] a) throws Exception {
  Process p = new ProcessBuilder("sh", "-c", "ls /proc/self/fd | wc -l; env | sort; exit 4").redirectErrorStream(true).start();
  System.out.print(new String(p.getInputStream().readAllBytes())); System.out.println(p.waitFor());
  System.out.println(ProcessHandle.current().children().count());
  new ProcessBuilder("sh", "-c", "echo $GREETING").inheritIO().start().waitFor();
  Runtime.getRuntime().exec("kill -TERM " + ProcessHandle.current().pid()).waitFor(); Thread.sleep(5000); } }
