/** Search in the workspace: what the server finds, best first, to pick from and go to. */

import * as vscode from 'vscode';
import type { Range } from 'vscode-languageclient/node';

import type { Server } from './server';

interface Place {
    uri: string;
    path: string;
    range: Range;
    title: string;
}

/** codegeex/search. `note` says why more may be there. */
interface Found {
    places: Place[];
    note?: string;
}

/** The server's own command `codegeex.search` answers with places and shows nothing. */
export function registerSearch(server: Server): vscode.Disposable {
    return vscode.commands.registerCommand('codegeex.searchWorkspace', () => search(server));
}

async function search(server: Server): Promise<void> {
    const query = await vscode.window.showInputBox({
        prompt: vscode.l10n.t('What do you look for? Names, or a sentence.'),
    });
    if (!query) {
        return;
    }
    const found = await server.ask<Found>('codegeex/search', { query });
    if (!found) {
        return;
    }
    const rows = found.places.map((place) => ({
        label: place.title,
        description: `${place.path}:${place.range.start.line + 1}`,
        place,
    }));
    const none = vscode.l10n.t('Nothing was found.');
    const chosen = await vscode.window.showQuickPick(rows, {
        title: query,
        placeHolder: found.note ?? (rows.length ? '' : none),
        matchOnDescription: true,
    });
    if (chosen) {
        const start = new vscode.Position(chosen.place.range.start.line, 0);
        const selection = new vscode.Range(start, start);
        await vscode.window.showTextDocument(vscode.Uri.parse(chosen.place.uri), { selection });
    }
}
