/** The language server's process and the connection to it; made again on a restart. */

import * as vscode from 'vscode';
import {
    CancellationToken,
    LanguageClient,
    type LanguageClientOptions,
    LSPErrorCodes,
    ProgressType,
    ResponseError,
    State,
    type WorkspaceEdit,
} from 'vscode-languageclient/node';

import { Patience } from './patience';
import { findProgram } from './program';
import { showProgress } from './progress';

const WALKTHROUGH = 'codegeex-lsp.codegeex-lsp#start';
const SCHEMES = ['file', 'untitled', 'vscode-notebook-cell'];

/** codegeex/status, as the server tells it. */
export interface Status {
    phase: 'absent' | 'starting' | 'loading' | 'ready' | 'failed';
    message: string;
    model: string;
}

/** codegeex/why. */
export interface Why {
    message: string;
    askAgain?: number;
}

export class Server {
    readonly output = vscode.window.createOutputChannel('CodeGeeX', { log: true });
    program: string | undefined;
    status: Status | undefined;

    private client: LanguageClient | undefined;
    private turn = Promise.resolve();
    private readonly changed = new vscode.EventEmitter<void>();
    readonly onStatus = this.changed.event;

    start(): Promise<void> {
        return this.inTurn(() => this.begin());
    }

    private async begin(): Promise<void> {
        try {
            this.program = await findProgram();
        } catch (error) {
            this.program = undefined;
            void offerSettings(messageOf(error));
            return;
        }
        if (!this.program) {
            void offerInstallation();
            return;
        }
        this.client = this.connected(this.program);
        try {
            await this.client.start();
        } catch (error) {
            this.output.error(messageOf(error));
        }
    }

    async stop(): Promise<void> {
        const client = this.client;
        this.client = undefined;
        this.tell(undefined);
        // One that never came up can't be stopped.
        await client?.dispose().catch((error: unknown) => this.output.warn(messageOf(error)));
    }

    restart(): Promise<void> {
        return this.inTurn(async () => {
            await this.stop();
            await this.begin();
        });
    }

    /** Two settings that change together ask for two restarts at a time. */
    private inTurn(step: () => Promise<void>): Promise<void> {
        this.turn = this.turn.then(step);
        return this.turn;
    }

    /** Asks the server. Shows its sentence when it refuses, and answers undefined then. */
    async ask<Reply>(
        method: string,
        params: object,
        // The client would send an undefined one along as a second parameter.
        token: CancellationToken = CancellationToken.None,
    ): Promise<Reply | undefined> {
        if (!this.client?.isRunning()) {
            void vscode.window.showWarningMessage(
                vscode.l10n.t('CodeGeeX: the language server is not running.'),
            );
            return undefined;
        }
        try {
            return await this.client.sendRequest<Reply>(method, params, token);
        } catch (error) {
            if (!isCancelled(error)) {
                void vscode.window.showWarningMessage(`CodeGeeX: ${messageOf(error)}`);
            }
            return undefined;
        }
    }

    /** What the server says on `token` while it works. */
    onPartialResult<Value>(token: string, hear: (value: Value) => void): vscode.Disposable {
        const heard = this.client?.onProgress(new ProgressType<Value>(), token, hear);
        return new vscode.Disposable(() => heard?.dispose());
    }

    /** What was answered last, and whether it is worth asking again. */
    why(editor: vscode.TextEditor): Promise<Why | undefined> {
        const { textDocument, position } = this.where(editor);
        return this.ask<Why>('codegeex/why', { textDocument, position });
    }

    /** The caller's document and place as the server names them. */
    where(editor: vscode.TextEditor): { textDocument: object; range: object; position: object } {
        const { document, selection } = editor;
        return {
            textDocument: { uri: document.uri.toString() },
            range: { start: selection.start, end: selection.end },
            position: selection.active,
        };
    }

    async edit(wire: WorkspaceEdit): Promise<vscode.WorkspaceEdit | undefined> {
        return this.client?.protocol2CodeConverter.asWorkspaceEdit(wire);
    }

    private connected(program: string): LanguageClient {
        const patience = new Patience();
        const options: LanguageClientOptions = {
            documentSelector: SCHEMES.map((scheme) => ({ scheme })),
            synchronize: { configurationSection: 'codegeex' },
            outputChannel: this.output,
            middleware: {
                provideInlineCompletionItems: (...asked) => patience.provide(...asked),
                handleWorkDoneProgress: (token, value, next) =>
                    showProgress(client, token, value, next),
                executeCommand: (command, args) => this.execute(command, args),
                window: { showDocument: showBeside },
            },
        };
        const run = { command: program, args: ['serve'] };
        const client = new LanguageClient('codegeex', 'CodeGeeX', run, options);
        client.onNotification('codegeex/status', (status: Status) => {
            // A server that is being stopped still tells how its model goes.
            if (client === this.client) {
                const before = this.status?.phase;
                this.tell(status);
                if (status.phase === 'ready' && before !== 'ready') {
                    void patience.modelIsReady(() => this.isWaiting());
                }
            }
        });
        client.onDidChangeState(({ newState }) => {
            if (client === this.client && newState !== State.Running) {
                this.tell(undefined);
            }
        });
        return client;
    }

    /** A command of the server's. It inserts the result itself and shows how far it is. */
    private execute(command: string, args: unknown[]): Promise<unknown> {
        return this.ask('workspace/executeCommand', { command, arguments: args });
    }

    private async isWaiting(): Promise<boolean> {
        const editor = vscode.window.activeTextEditor;
        return editor !== undefined && (await this.why(editor))?.askAgain !== undefined;
    }

    private tell(status: Status | undefined): void {
        this.status = status;
        this.changed.fire();
    }
}

/** The server opens explanations and translations; they belong beside the code. */
async function showBeside(params: {
    uri: string;
    takeFocus?: boolean;
}): Promise<{ success: boolean }> {
    await vscode.window.showTextDocument(vscode.Uri.parse(params.uri), {
        viewColumn: vscode.ViewColumn.Beside,
        preserveFocus: !params.takeFocus,
        preview: false,
    });
    return { success: true };
}

async function offerInstallation(): Promise<void> {
    const how = vscode.l10n.t('How to install it');
    const settings = vscode.l10n.t('Open settings');
    const choice = await vscode.window.showErrorMessage(
        vscode.l10n.t(
            'CodeGeeX: the program codegeex-lsp was not found; install it, or set "codegeex.server.path".',
        ),
        how,
        settings,
    );
    if (choice === how) {
        await vscode.commands.executeCommand('workbench.action.openWalkthrough', WALKTHROUGH);
    } else if (choice === settings) {
        await openSettings();
    }
}

async function offerSettings(sentence: string): Promise<void> {
    const settings = vscode.l10n.t('Open settings');
    if ((await vscode.window.showErrorMessage(`CodeGeeX: ${sentence}`, settings)) === settings) {
        await openSettings();
    }
}

function openSettings(): Thenable<unknown> {
    return vscode.commands.executeCommand('workbench.action.openSettings', 'codegeex.server.path');
}

function isCancelled(error: unknown): boolean {
    return error instanceof ResponseError && error.code === LSPErrorCodes.RequestCancelled;
}

export function messageOf(error: unknown): string {
    return error instanceof Error ? error.message : String(error);
}
