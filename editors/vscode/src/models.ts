/** The model picker: the list of `codegeex-lsp models`; the server fetches, with a question first. */

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import * as vscode from 'vscode';

import { messageOf, type Server } from './server';

/** What is used of a row of `codegeex-lsp models list --json`. `state` is empty when it isn't here. */
interface Model {
    name: string;
    state: string;
    abilities: string[];
    licence: string;
    note: string;
    sizes: Record<string, number>;
    fits: string;
    hub: string;
}

interface Pulled {
    folder: string | null;
}

export function registerModels(server: Server): vscode.Disposable {
    return vscode.commands.registerCommand('codegeex.chooseModel', () => choose(server));
}

async function choose(server: Server): Promise<void> {
    const listed = await models(server, 'list', '--json');
    if (listed === undefined) {
        return;
    }
    const rows = (JSON.parse(listed) as Model[]).map((model) => ({ ...row(model), model }));
    const chosen = await vscode.window.showQuickPick(rows, {
        title: vscode.l10n.t('The model of all editors'),
        matchOnDescription: true,
        matchOnDetail: true,
    });
    if (chosen && chosen.model.state !== 'used' && (await isHere(server, chosen.model))) {
        const used = await models(server, 'use', chosen.model.name);
        if (used !== undefined) {
            void vscode.window.showInformationMessage(`CodeGeeX: ${used.trim()}`);
            await server.restart();
        }
    }
}

function row({ name, state, abilities, licence, note, sizes, fits }: Model): vscode.QuickPickItem {
    const fitting = fits
        ? vscode.l10n.t('{0} of memory as {1}', megabytes(sizes[fits] ?? 0), fits)
        : vscode.l10n.t('too large for this machine');
    return {
        label: `${state === 'used' ? '$(check) ' : ''}${name}`,
        description: [state, abilities.join(', ')].filter(Boolean).join(' · '),
        detail: [fitting, licence, note].filter(Boolean).join(' · '),
    };
}

function megabytes(bytes: number): string {
    return `${Math.ceil(bytes / 1e6).toLocaleString()} MB`;
}

/** Fetches it when it isn't; the server asks before and shows how far it is. */
async function isHere(server: Server, { name, state, hub, note }: Model): Promise<boolean> {
    if (state) {
        return true;
    }
    if (!hub) {
        void vscode.window.showWarningMessage(`CodeGeeX: ${name}: ${note}.`);
        return false;
    }
    return Boolean((await server.ask<Pulled>('codegeex/pullModel', { model: name }))?.folder);
}

/** What `codegeex-lsp models` prints; undefined after its complaint was shown. */
async function models(server: Server, ...words: string[]): Promise<string | undefined> {
    if (!server.program) {
        await server.restart();
        return undefined;
    }
    try {
        return (await promisify(execFile)(server.program, ['models', ...words])).stdout;
    } catch (error) {
        const { stderr } = error as { stderr?: string };
        void vscode.window.showErrorMessage(`CodeGeeX: ${stderr?.trim() || messageOf(error)}`);
        return undefined;
    }
}
