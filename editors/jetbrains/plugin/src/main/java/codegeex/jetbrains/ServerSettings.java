package codegeex.jetbrains;

import com.intellij.openapi.application.ApplicationManager;
import com.intellij.openapi.components.PersistentStateComponent;
import com.intellij.openapi.components.State;
import com.intellij.openapi.components.Storage;

/**
 * What the IDE keeps: where the server is. It belongs to the user and never to a project; all other
 * settings are the server's own, in its config.toml.
 */
@State(name = "CodeGeeX", storages = @Storage("codegeex.xml"))
public final class ServerSettings implements PersistentStateComponent<ServerSettings> {

    /** The path of codegeex-lsp; empty to search the PATH. */
    public String program = "";

    static ServerSettings current() {
        return ApplicationManager.getApplication().getService(ServerSettings.class);
    }

    @Override
    public ServerSettings getState() {
        return this;
    }

    @Override
    public void loadState(ServerSettings state) {
        program = state.program;
    }
}
