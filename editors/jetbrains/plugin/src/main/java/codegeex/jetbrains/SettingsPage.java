package codegeex.jetbrains;

import com.intellij.openapi.options.Configurable;
import com.intellij.openapi.project.Project;
import com.intellij.openapi.project.ProjectManager;
import com.redhat.devtools.lsp4ij.LanguageServerManager;

import java.awt.BorderLayout;
import javax.swing.JComponent;
import javax.swing.JLabel;
import javax.swing.JPanel;
import javax.swing.JTextField;

/** Settings | Tools | CodeGeeX: one field. Applying it restarts the servers. */
public final class SettingsPage implements Configurable {

    private final JTextField program = new JTextField();

    @Override
    public String getDisplayName() {
        return "CodeGeeX";
    }

    @Override
    public JComponent createComponent() {
        JPanel row = new JPanel(new BorderLayout(8, 0));
        row.add(new JLabel("Path of codegeex-lsp (empty: search the PATH):"), BorderLayout.WEST);
        row.add(program, BorderLayout.CENTER);
        JPanel page = new JPanel(new BorderLayout());
        page.add(row, BorderLayout.NORTH);
        return page;
    }

    @Override
    public boolean isModified() {
        return !program.getText().strip().equals(ServerSettings.current().program);
    }

    @Override
    public void apply() {
        ServerSettings.current().program = program.getText().strip();
        for (Project project : ProjectManager.getInstance().getOpenProjects()) {
            LanguageServerManager.getInstance(project).start("codegeex");
        }
    }

    @Override
    public void reset() {
        program.setText(ServerSettings.current().program);
    }
}
