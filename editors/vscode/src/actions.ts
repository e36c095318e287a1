/**
 * The prompt mode and the actions: what the server offers for the selection, to pick from.
 *
 * The list, with the user's own templates in it, is the server's; the same entries stand in VS
 * Code's menu of code actions.
 */

import * as vscode from 'vscode';

import type { Server } from './server';

export const TRANSLATE = 'refactor.rewrite.codegeex.translate';
const OURS = ['refactor.rewrite.codegeex', 'source.codegeex'];
const PREFIX = 'CodeGeeX: ';

/** One of the server's code actions. `disabled` says why the model can't. */
export interface Offer {
    title: string;
    kind: string;
    disabled?: { reason: string };
    command?: { command: string; arguments: [Record<string, unknown>] };
}

export function registerActions(server: Server): vscode.Disposable {
    return vscode.Disposable.from(
        vscode.commands.registerTextEditorCommand('codegeex.prompts', async (editor) => {
            const offers = await offersOf(server, editor, OURS);
            const prompts = offers.filter(({ kind }) => kind !== TRANSLATE);
            await run(await pick(prompts, vscode.l10n.t('What should the model do?')));
        }),
        vscode.commands.registerTextEditorCommand('codegeex.explainBeside', async (editor) => {
            const { textDocument, range } = server.where(editor);
            const asked = { textDocument, range, style: 'document' };
            await vscode.commands.executeCommand('codegeex.explain', asked);
        }),
    );
}

/** What the server offers of the given kinds. */
export async function offersOf(
    server: Server,
    editor: vscode.TextEditor,
    only: string[],
): Promise<Offer[]> {
    const { textDocument, range } = server.where(editor);
    const context = { diagnostics: [], only };
    return (
        (await server.ask<Offer[]>('textDocument/codeAction', { textDocument, range, context })) ??
        []
    );
}

/** The offer the user picked; one the model can't do tells why instead. */
export async function pick(offers: Offer[], title: string): Promise<Offer | undefined> {
    const rows = offers.map((offer) => ({
        label: offer.title.replace(PREFIX, ''),
        description: offer.disabled?.reason ?? '',
        offer,
    }));
    const none = vscode.l10n.t('There is nothing to do here; select some code.');
    const chosen = await vscode.window.showQuickPick(rows, {
        title,
        placeHolder: rows.length ? '' : none,
    });
    if (chosen?.offer.disabled) {
        void vscode.window.showWarningMessage(`CodeGeeX: ${chosen.offer.disabled.reason}`);
        return undefined;
    }
    return chosen?.offer;
}

async function run(offer: Offer | undefined): Promise<void> {
    if (offer?.command) {
        const { command, arguments: args } = offer.command;
        await vscode.commands.executeCommand(command, ...args);
    }
}
