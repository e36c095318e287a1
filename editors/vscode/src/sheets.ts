/**
 * Read-only documents beside the code, of pieces that can be used at a click.
 *
 * Candidates and translations are shown in them. They have a language, so they are coloured like
 * any code; no text of theirs is sent anywhere.
 */

import * as vscode from 'vscode';

const SCHEME = 'codegeex';
const USE = 'codegeex.usePiece';

/** A text, and what is done with it when the link above it is clicked. */
export interface Piece {
    text: string;
    use?: () => Thenable<unknown>;
}

export class Sheets
    implements vscode.TextDocumentContentProvider, vscode.CodeLensProvider, vscode.Disposable
{
    private readonly sheets = new Map<string, Sheet>();
    private readonly textChanged = new vscode.EventEmitter<vscode.Uri>();
    private readonly lensesChanged = new vscode.EventEmitter<void>();
    private readonly parts: vscode.Disposable;
    readonly onDidChange = this.textChanged.event;
    readonly onDidChangeCodeLenses = this.lensesChanged.event;

    constructor() {
        this.parts = vscode.Disposable.from(
            vscode.workspace.registerTextDocumentContentProvider(SCHEME, this),
            vscode.languages.registerCodeLensProvider({ scheme: SCHEME }, this),
            vscode.workspace.onDidCloseTextDocument(({ uri }) => this.sheets.delete(`${uri}`)),
            vscode.window.tabGroups.onDidChangeTabs(({ closed }) => closed.forEach((tab) => this.close(tab))),
            vscode.commands.registerCommand(USE, (piece: Piece) => piece.use?.()),
        );
    }

    dispose(): void {
        this.parts.dispose();
    }

    /** Opens a sheet beside the code, which keeps the focus. One of the same name is used again. */
    async open(name: string, languageId: string): Promise<Sheet> {
        const uri = vscode.Uri.from({ scheme: SCHEME, path: `/${name}` });
        const sheet = new Sheet(() => {
            this.textChanged.fire(uri);
            this.lensesChanged.fire();
        });
        this.sheets.get(uri.toString())?.close();
        this.sheets.set(uri.toString(), sheet);
        this.textChanged.fire(uri);
        const document = await vscode.workspace.openTextDocument(uri);
        await vscode.languages.setTextDocumentLanguage(document, languageId);
        await vscode.window.showTextDocument(document, {
            viewColumn: vscode.ViewColumn.Beside,
            preserveFocus: true,
        });
        // Another language is, to VS Code, another document: the sheet is here again.
        this.sheets.set(uri.toString(), sheet);
        return sheet;
    }

    /** A document of VS Code's outlives its tab by minutes. */
    private close({ input }: vscode.Tab): void {
        if (input instanceof vscode.TabInputText) {
            this.sheets.get(input.uri.toString())?.close();
        }
    }

    provideTextDocumentContent(uri: vscode.Uri): string {
        return this.sheets.get(uri.toString())?.text ?? '';
    }

    provideCodeLenses(document: vscode.TextDocument): vscode.CodeLens[] {
        return this.sheets.get(document.uri.toString())?.lenses() ?? [];
    }
}

/** The pieces of one sheet, one below the other. */
export class Sheet {
    private pieces: readonly Piece[] = [];
    private readonly closing = new vscode.CancellationTokenSource();
    /** Nobody waits for the rest. */
    readonly closed = this.closing.token;

    constructor(private readonly changed: () => void) {}

    close(): void {
        this.closing.cancel();
    }

    show(pieces: readonly Piece[]): void {
        this.pieces = pieces;
        this.changed();
    }

    get text(): string {
        return this.pieces.map(({ text }) => `${text}\n`).join('\n');
    }

    lenses(): vscode.CodeLens[] {
        let line = 0;
        const lenses: vscode.CodeLens[] = [];
        for (const piece of this.pieces) {
            if (piece.use) {
                const command = {
                    title: vscode.l10n.t('Use this code'),
                    command: USE,
                    arguments: [piece],
                };
                lenses.push(new vscode.CodeLens(new vscode.Range(line, 0, line, 0), command));
            }
            line += piece.text.split('\n').length + 1;
        }
        return lenses;
    }
}

/** Carries out an edit that was made for `version` of a document, and shows the document. */
export async function useEdit(
    document: vscode.TextDocument,
    version: number,
    edit: vscode.WorkspaceEdit,
): Promise<void> {
    if (document.isClosed || document.version !== version) {
        void vscode.window.showWarningMessage(
            vscode.l10n.t('CodeGeeX: the file has changed since; ask again.'),
        );
        return;
    }
    await vscode.workspace.applyEdit(edit);
    await vscode.window.showTextDocument(document, vscode.ViewColumn.One);
}
