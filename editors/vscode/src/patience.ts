/**
 * Keeps an answer that is slower than the editor's patience.
 *
 * While a word is typed, VS Code withdraws an automatic request about 0.65 s after it was sent,
 * because its own menu of words opens, and never asks again: a model that takes a second would
 * never show anything. So a request is not withdrawn from the server as long as nothing has moved.
 * VS Code is made to ask again instead, which it doesn't withdraw, and gets the answer of the first
 * request. The model runs once. Only when a word in the menu is selected by then, the question is
 * another one: what would follow that word.
 *
 * In the same way VS Code is made to ask once more when the model is ready that was not at first.
 */

import * as vscode from 'vscode';

type Answer = vscode.ProviderResult<vscode.InlineCompletionItem[] | vscode.InlineCompletionList>;
type Next = (
    document: vscode.TextDocument,
    position: vscode.Position,
    context: vscode.InlineCompletionContext,
    token: vscode.CancellationToken,
) => Answer;

const PAUSE_MS = 50;

export class Patience {
    private latest: Asked | undefined;

    provide(
        document: vscode.TextDocument,
        position: vscode.Position,
        context: vscode.InlineCompletionContext,
        token: vscode.CancellationToken,
        next: Next,
    ): Answer {
        const before = this.latest;
        let { triggerKind } = context;
        if (before?.again && before.isAt(document, position)) {
            const { again } = before;
            before.again = undefined;
            if (again === 'kept answer' && before.selected === selectedText(context)) {
                token.onCancellationRequested(() => before.withdrawIfMoved());
                return before.answer;
            }
            before.withdraw();
            ({ triggerKind } = before);
        }
        const asked = new Asked(document, position, { ...context, triggerKind }, next);
        this.latest = asked;
        token.onCancellationRequested(() => {
            if (triggerKind === vscode.InlineCompletionTriggerKind.Invoke) {
                asked.withdraw();
            } else if (!asked.withdrawIfMoved()) {
                setTimeout(() => this.askAgain(asked, 'kept answer'), PAUSE_MS);
            }
        });
        return asked.answer;
    }

    /** The model is ready. `isWaiting`: the server's word that the last request came too early. */
    async modelIsReady(isWaiting: () => Promise<boolean>): Promise<void> {
        const asked = this.latest;
        if (asked && (await isWaiting())) {
            this.askAgain(asked, 'new answer');
        }
    }

    private askAgain(asked: Asked, again: Again): void {
        if (asked === this.latest && !asked.withdrawIfMoved()) {
            asked.again = again;
            void vscode.commands.executeCommand('editor.action.inlineSuggest.trigger');
        }
    }
}

/** What VS Code gets when it is made to ask once more. */
type Again = 'kept answer' | 'new answer';

/** The last request. With `again` VS Code was made to ask for the same once more. */
class Asked {
    again: Again | undefined;
    readonly answer: Answer;
    readonly triggerKind: vscode.InlineCompletionTriggerKind;
    readonly selected: string | undefined;
    private readonly version: number;
    private readonly withdrawal = new vscode.CancellationTokenSource();

    constructor(
        private readonly document: vscode.TextDocument,
        private readonly position: vscode.Position,
        context: vscode.InlineCompletionContext,
        next: Next,
    ) {
        this.version = document.version;
        this.triggerKind = context.triggerKind;
        this.selected = selectedText(context);
        this.answer = next(document, position, context, this.withdrawal.token);
    }

    isAt(document: vscode.TextDocument, position: vscode.Position): boolean {
        return (
            document === this.document &&
            document.version === this.version &&
            position.isEqual(this.position)
        );
    }

    /** Whether it was withdrawn: the caret or the text is another one. */
    withdrawIfMoved(): boolean {
        const editor = vscode.window.activeTextEditor;
        const stays = editor !== undefined && this.isAt(editor.document, editor.selection.active);
        if (!stays) {
            this.withdraw();
        }
        return !stays;
    }

    withdraw(): void {
        this.withdrawal.cancel();
    }
}

/** The word selected in the menu. */
function selectedText(context: vscode.InlineCompletionContext): string | undefined {
    return context.selectedCompletionInfo?.text;
}
