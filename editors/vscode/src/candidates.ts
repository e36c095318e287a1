/** The interactive mode: different completions for one place, side by side as they are found. */

import * as vscode from 'vscode';

import type { Server } from './server';
import { type Piece, type Sheets, useEdit } from './sheets';

interface Found {
    items: { text: string }[];
}

let numbers = 0;

export function registerCandidates(server: Server, sheets: Sheets): vscode.Disposable {
    return vscode.commands.registerTextEditorCommand('codegeex.showCandidates', (editor) =>
        showCandidates(server, sheets, editor),
    );
}

async function showCandidates(
    server: Server,
    sheets: Sheets,
    editor: vscode.TextEditor,
): Promise<void> {
    const { document } = editor;
    const { version } = document;
    const place = editor.selection.active;
    const { textDocument, position } = server.where(editor);
    const sheet = await sheets.open(vscode.l10n.t('Candidates'), document.languageId);

    const piece = (text: string): Piece => ({
        text,
        use: () => {
            const edit = new vscode.WorkspaceEdit();
            edit.insert(document.uri, place, text);
            return useEdit(document, version, edit);
        },
    });
    const found: Piece[] = [];
    const partialResultToken = `codegeex-candidates-${++numbers}`;
    const hearing = server.onPartialResult<Found>(partialResultToken, ({ items }) => {
        found.push(...items.map(({ text }) => piece(text)));
        sheet.show(found);
    });
    try {
        const asked = { textDocument, position, partialResultToken };
        const all = await server.ask<Found>('codegeex/candidates', asked, sheet.closed);
        if (all?.items.length) {
            sheet.show(all.items.map(({ text }) => piece(text)));
        } else if (all) {
            sheet.show([{ text: vscode.l10n.t('The model had nothing to add at this place.') }]);
        }
    } finally {
        hearing.dispose();
    }
}
