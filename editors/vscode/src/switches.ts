/** On and off, for everything or for the language of the file; the settings hold it. */

import * as vscode from 'vscode';

const LANGUAGES = 'completion.disabledLanguages';

export function registerSwitches(): vscode.Disposable {
    return vscode.Disposable.from(
        vscode.commands.registerCommand('codegeex.toggle', toggle),
        vscode.commands.registerTextEditorCommand('codegeex.toggleLanguage', toggleLanguage),
    );
}

function toggle(): Thenable<void> {
    const settings = vscode.workspace.getConfiguration('codegeex');
    return settings.update('enabled', !settings.get('enabled'), vscode.ConfigurationTarget.Global);
}

function toggleLanguage({ document }: vscode.TextEditor): Thenable<void> {
    const settings = vscode.workspace.getConfiguration('codegeex');
    const off = settings.get<string[]>(LANGUAGES, []);
    const others = off.filter((language) => language !== document.languageId);
    const wanted = others.length < off.length ? others : [...off, document.languageId];
    return settings.update(LANGUAGES, wanted, vscode.ConfigurationTarget.Global);
}
