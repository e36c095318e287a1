package codegeex.jetbrains;

import com.intellij.openapi.project.Project;
import com.redhat.devtools.lsp4ij.LanguageServerFactory;
import com.redhat.devtools.lsp4ij.server.StreamConnectionProvider;

/** What plugin.xml names as the server "codegeex". LSP4IJ does the rest by itself. */
public final class ServerFactory implements LanguageServerFactory {

    @Override
    public StreamConnectionProvider createConnectionProvider(Project project) {
        return new ServerProcess(project);
    }
}
