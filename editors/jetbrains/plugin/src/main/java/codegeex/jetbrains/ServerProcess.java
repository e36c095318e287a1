package codegeex.jetbrains;

import com.intellij.execution.configurations.GeneralCommandLine;
import com.intellij.openapi.project.Project;
import com.intellij.openapi.util.SystemInfo;
import com.intellij.util.EnvironmentUtil;
import com.redhat.devtools.lsp4ij.server.CannotStartProcessException;
import com.redhat.devtools.lsp4ij.server.OSProcessStreamConnectionProvider;

import java.io.FileNotFoundException;
import java.util.Objects;

/** The server's process for one project. LSP4IJ shows why it can't be started. */
final class ServerProcess extends OSProcessStreamConnectionProvider {

    private final Project project;

    ServerProcess(Project project) {
        this.project = project;
    }

    /** Searches at each start, so that a changed setting or a fresh installation is found. */
    @Override
    public void start() throws CannotStartProcessException {
        // The PATH of the user's shell: an IDE started from the desktop often has a shorter one.
        String path = Objects.requireNonNullElse(EnvironmentUtil.getValue("PATH"), "");
        CommandResolver resolver = new CommandResolver(path, SystemInfo.isWindows);
        try {
            var command = resolver.resolve(ServerSettings.current().program);
            setCommandLine(new GeneralCommandLine(command).withWorkDirectory(project.getBasePath()));
        } catch (FileNotFoundException missing) {
            throw new CannotStartProcessException(missing.getMessage());
        }
        super.start();
    }
}
