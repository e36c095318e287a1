import codegeex.jetbrains.CommandResolver;

import java.io.FileNotFoundException;

/** Prints the command line that the plugin would start, a word a line, or why there is none. */
public final class Resolve {
    public static void main(String[] arguments) {
        var resolver = new CommandResolver(arguments[0], arguments[2].equals("windows"));
        try {
            resolver.resolve(arguments[1]).forEach(System.out::println);
        } catch (FileNotFoundException missing) {
            System.out.println(missing.getMessage());
        }
    }
}
