/** The item in the status bar: the server's own state; on a click, why nothing is shown. */

import * as vscode from 'vscode';

import type { Server } from './server';

interface Choice extends vscode.QuickPickItem {
    command?: string;
}

export class StatusItem implements vscode.Disposable {
    private readonly item = vscode.window.createStatusBarItem(
        'codegeex.status',
        vscode.StatusBarAlignment.Right,
    );
    private readonly parts: vscode.Disposable;

    constructor(private readonly server: Server) {
        this.item.name = 'CodeGeeX';
        this.item.command = 'codegeex.why';
        this.parts = vscode.Disposable.from(
            this.item,
            server.onStatus(() => this.update()),
            vscode.workspace.onDidChangeConfiguration(() => this.update()),
            vscode.commands.registerCommand('codegeex.why', () => this.explain()),
        );
        this.update();
        this.item.show();
    }

    dispose(): void {
        this.parts.dispose();
    }

    private update(): void {
        this.item.text = `${this.icon()} CodeGeeX`;
        this.item.tooltip = this.sentence();
    }

    private icon(): string {
        if (!vscode.workspace.getConfiguration('codegeex').get('enabled')) {
            return '$(circle-slash)';
        }
        switch (this.server.status?.phase) {
            case 'ready':
                return '$(sparkle)';
            case 'starting':
            case 'loading':
                return '$(loading~spin)';
            default:
                return '$(warning)';
        }
    }

    private sentence(): string {
        const status = this.server.status;
        if (!status) {
            return vscode.l10n.t('The language server is not running.');
        }
        const phases = {
            absent: vscode.l10n.t('no model is running'),
            starting: vscode.l10n.t('starting'),
            loading: vscode.l10n.t('loading'),
            ready: vscode.l10n.t('ready'),
            failed: vscode.l10n.t('failed'),
        };
        const failure = status.phase === 'failed' ? ` ${status.message}` : '';
        return `CodeGeeX ${status.model}: ${phases[status.phase]}.${failure}`;
    }

    /** The last answer in the server's words, and what can be done about it. */
    private async explain(): Promise<void> {
        const chosen = await vscode.window.showQuickPick(await this.choices(), {
            title: this.sentence(),
        });
        if (chosen?.command) {
            await vscode.commands.executeCommand(chosen.command);
        }
    }

    private async choices(): Promise<Choice[]> {
        const choices: Choice[] = [];
        const editor = vscode.window.activeTextEditor;
        if (this.server.status && editor) {
            const why = await this.server.why(editor);
            if (why) {
                choices.push({ label: `$(info) ${why.message}` });
            }
        }
        const t = vscode.l10n.t;
        const line = { label: '', kind: vscode.QuickPickItemKind.Separator };
        choices.push(
            line,
            { label: `$(light-bulb) ${t('Ask for a suggestion here')}`, command: 'editor.action.inlineSuggest.trigger' },
            { label: `$(circle-slash) ${t('Turn CodeGeeX on or off')}`, command: 'codegeex.toggle' },
            { label: `$(code) ${t('Turn it on or off for this language')}`, command: 'codegeex.toggleLanguage' },
            { label: `$(database) ${t('Choose a model')}`, command: 'codegeex.chooseModel' },
            { label: `$(debug-restart) ${t('Restart the language server')}`, command: 'codegeex.restartServer' },
            { label: `$(output) ${t('Show the log')}`, command: 'codegeex.showLog' },
        );
        return choices;
    }
}
