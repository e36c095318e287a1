/**
 * CodeGeeX in VS Code: starts the language server and gives its answers a place on the screen.
 *
 * Start reading here: one line for each thing the extension has. What to suggest, what the actions
 * do and why nothing is shown are all the server's; nothing of that is decided here.
 */

import * as vscode from 'vscode';

import { registerActions } from './actions';
import { registerCandidates } from './candidates';
import { registerModels } from './models';
import { registerSearch } from './search';
import { Server } from './server';
import { Sheets } from './sheets';
import { StatusItem } from './status';
import { registerSwitches } from './switches';
import { registerTranslation } from './translation';

let server: Server | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
    server = new Server();
    const sheets = new Sheets();
    context.subscriptions.push(
        sheets,
        new StatusItem(server),
        registerActions(server),
        registerCandidates(server, sheets),
        registerTranslation(server, sheets),
        registerModels(server),
        registerSearch(server),
        registerSwitches(),
        registerServerCommands(server),
    );
    await server.start();
}

export async function deactivate(): Promise<void> {
    await server?.stop();
}

function registerServerCommands(running: Server): vscode.Disposable {
    return vscode.Disposable.from(
        vscode.commands.registerCommand('codegeex.restartServer', () => running.restart()),
        vscode.commands.registerCommand('codegeex.showLog', () => running.output.show()),
        vscode.workspace.onDidChangeConfiguration((change) => {
            if (change.affectsConfiguration('codegeex.server')) {
                void running.restart();
            }
        }),
        vscode.workspace.onDidGrantWorkspaceTrust(() => running.restart()),
    );
}
