/** The translation mode: the selection in another language, beside it, to be used at a click. */

import * as vscode from 'vscode';
import type { WorkspaceEdit } from 'vscode-languageclient/node';

import { offersOf, pick, TRANSLATE } from './actions';
import type { Server } from './server';
import { type Sheets, useEdit } from './sheets';

/** Where VS Code's name for a language isn't its own name in lower case. */
const LANGUAGE_IDS: Record<string, string> = {
    'C++': 'cpp',
    'C#': 'csharp',
    'Objective-C': 'objective-c',
    Shell: 'shellscript',
};

interface Translated {
    text: string;
    edit: WorkspaceEdit | null;
    message: string;
}

let numbers = 0;

export function registerTranslation(server: Server, sheets: Sheets): vscode.Disposable {
    return vscode.commands.registerTextEditorCommand('codegeex.translateBeside', (editor) =>
        translate(server, sheets, editor),
    );
}

async function translate(server: Server, sheets: Sheets, editor: vscode.TextEditor): Promise<void> {
    const offers = await offersOf(server, editor, [TRANSLATE]);
    const offer = await pick(offers, vscode.l10n.t('Translate to'));
    const asked = offer?.command?.arguments[0];
    if (!asked) {
        return;
    }
    const { document } = editor;
    const target = String(asked['targetLanguage']);
    const name = vscode.l10n.t('Translation to {0}', target);
    const sheet = await sheets.open(name, await languageId(target));
    const partialResultToken = `codegeex-translation-${++numbers}`;
    let text = '';
    const hearing = server.onPartialResult<{ text: string }>(partialResultToken, (more) => {
        text += more.text;
        sheet.show([{ text }]);
    });
    try {
        const streamed = { ...asked, partialResultToken };
        const done = await server.ask<Translated>('codegeex/translate', streamed, sheet.closed);
        if (!done) {
            return;
        }
        const { version } = document;
        const edit = done.edit ? await server.edit(done.edit) : undefined;
        sheet.show([{ text: done.text, ...(edit && { use: () => useEdit(document, version, edit) }) }]);
        if (done.message) {
            void vscode.window.showInformationMessage(`CodeGeeX: ${done.message}`);
        }
    } finally {
        hearing.dispose();
    }
}

async function languageId(name: string): Promise<string> {
    const id = LANGUAGE_IDS[name] ?? name.toLowerCase();
    return (await vscode.languages.getLanguages()).includes(id) ? id : 'plaintext';
}
