/** Work of the server's that can be stopped is shown where VS Code has a button for it. */

import * as vscode from 'vscode';
import {
    type BaseLanguageClient,
    type ProgressToken,
    type WorkDoneProgressBegin,
    WorkDoneProgressCancelNotification,
    type WorkDoneProgressEnd,
    type WorkDoneProgressReport,
} from 'vscode-languageclient/node';

type Told = WorkDoneProgressBegin | WorkDoneProgressReport | WorkDoneProgressEnd;

/** One notification on the screen, by the server's token. */
interface Shown {
    report(told: WorkDoneProgressReport): void;
    end(): void;
}

const shown = new Map<ProgressToken, Shown>();

/** `next` shows it in the status bar, without a button. */
export function showProgress(
    client: BaseLanguageClient,
    token: ProgressToken,
    told: Told,
    next: (token: ProgressToken, told: Told) => void,
): void {
    if (told.kind === 'begin' && told.cancellable) {
        shown.set(token, begin(client, token, told));
        return;
    }
    if (told.kind === 'report') {
        shown.get(token)?.report(told);
    } else if (told.kind === 'end') {
        shown.get(token)?.end();
        shown.delete(token);
    }
    next(token, told);
}

function begin(
    client: BaseLanguageClient,
    token: ProgressToken,
    { title }: WorkDoneProgressBegin,
): Shown {
    let end = (): void => undefined;
    let report = (_: WorkDoneProgressReport): void => undefined;
    const ended = new Promise<void>((resolve) => {
        end = resolve;
    });
    const options = { location: vscode.ProgressLocation.Notification, cancellable: true, title };
    void vscode.window.withProgress(options, (progress, cancelled) => {
        let reached = 0;
        report = ({ message, percentage }) => {
            const increment = Math.max(0, (percentage ?? reached) - reached);
            reached += increment;
            progress.report({ increment, ...(message === undefined ? {} : { message }) });
        };
        cancelled.onCancellationRequested(
            () => void client.sendNotification(WorkDoneProgressCancelNotification.type, { token }),
        );
        return ended;
    });
    return { report: (told) => report(told), end };
}
