package codegeex.jetbrains;

import java.io.File;
import java.io.FileNotFoundException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.List;

/**
 * Finds the language server: where the setting says, else in the PATH.
 *
 * <p>Knows no class of an IDE, so that it runs anywhere. A project can't name the program: what is
 * started must not depend on which folder was opened.
 */
public final class CommandResolver {

    private static final String PROGRAM = "codegeex-lsp";

    private final String path;
    private final List<String> suffixes;

    /**
     * @param path    the folders to search, as the environment variable PATH has them
     * @param windows whether programs end in .exe, .cmd or .bat
     */
    public CommandResolver(String path, boolean windows) {
        this.path = path;
        this.suffixes = windows ? List.of(".exe", ".cmd", ".bat") : List.of("");
    }

    /**
     * The server's command line.
     *
     * @param setting the program that the user named, or an empty text
     * @throws FileNotFoundException with a sentence for the user
     */
    public List<String> resolve(String setting) throws FileNotFoundException {
        Path program = setting.isBlank() ? inPath() : named(setting.strip());
        return List.of(program.toString(), "serve");
    }

    private Path inPath() throws FileNotFoundException {
        for (String folder : path.split(File.pathSeparator)) {
            for (String suffix : suffixes) {
                if (isProgram(folder, PROGRAM + suffix)) {
                    return Path.of(folder, PROGRAM + suffix);
                }
            }
        }
        throw new FileNotFoundException(
                PROGRAM + " is not in the PATH. Install it from a clone of the project with:"
                        + " pip install '.[local]' (for your user or in a virtual environment), or"
                        + " name the program in Settings | Tools | CodeGeeX.");
    }

    private static Path named(String setting) throws FileNotFoundException {
        if (!isProgram("", setting)) {
            throw new FileNotFoundException(
                    "There is no program " + setting + "; correct it in Settings | Tools | CodeGeeX,"
                            + " or empty the field to search the PATH.");
        }
        return Path.of(setting);
    }

    private static boolean isProgram(String folder, String name) {
        try {
            Path file = Path.of(folder, name);
            return file.isAbsolute() && Files.isRegularFile(file) && Files.isExecutable(file);
        } catch (InvalidPathException invalid) {
            return false;
        }
    }
}
