import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import javax.tools.JavaCompiler;
import javax.tools.ToolProvider;

/** Compiles NAME/Main.java into NAME/classes for each NAME; prints a line about each. */
class Compile {
    public static void main(String[] names) {
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        for (String name : names) {
            ByteArrayOutputStream said = new ByteArrayOutputStream();
            int code = compiler.run(null, said, said, "-proc:none", "-nowarn", "-encoding", "UTF-8",
                "-d", name + "/classes", name + "/Main.java");
            String first = said.toString(StandardCharsets.UTF_8).lines().findFirst().orElse("");
            System.out.println(code == 0 ? "compiled " + name : "failed " + name + " " + first);
        }
    }
}
