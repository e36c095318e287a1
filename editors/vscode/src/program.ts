/** Where `codegeex-lsp` is: the setting, the PATH, the active Python environment. */

import { access, constants } from 'node:fs/promises';
import * as path from 'node:path';

import * as vscode from 'vscode';

const NAME = process.platform === 'win32' ? 'codegeex-lsp.exe' : 'codegeex-lsp';

/** What is used of the Python extension's API. */
interface PythonExtension {
    environments: {
        getActiveEnvironmentPath(resource?: vscode.Uri): { path: string };
        resolveEnvironment(
            environment: { path: string },
        ): Promise<{ executable: { uri?: vscode.Uri } } | undefined>;
    };
}

/** The whole path of the program, undefined when there is none. Throws for a setting that is wrong. */
export async function findProgram(): Promise<string | undefined> {
    const chosen = vscode.workspace.getConfiguration('codegeex').get<string>('server.path', '');
    if (chosen) {
        if (await isProgram(chosen)) {
            return chosen;
        }
        throw new Error(
            vscode.l10n.t('The setting "codegeex.server.path" names no program: {0}', chosen),
        );
    }
    return (await onPath()) ?? (await besidePython());
}

async function onPath(): Promise<string | undefined> {
    const folders = (process.env['PATH'] ?? '').split(path.delimiter);
    // A relative entry would mean a program of whatever folder is open.
    return firstProgram(folders.filter((folder) => path.isAbsolute(folder)));
}

/** A project can bring its environment along, so it must be trusted. */
async function besidePython(): Promise<string | undefined> {
    const python = vscode.extensions.getExtension<PythonExtension>('ms-python.python');
    if (!python || !vscode.workspace.isTrusted) {
        return undefined;
    }
    const { environments } = await python.activate();
    const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
    const active = await environments.resolveEnvironment(
        environments.getActiveEnvironmentPath(folder),
    );
    const interpreter = active?.executable.uri?.fsPath;
    return interpreter ? firstProgram([path.dirname(interpreter)]) : undefined;
}

async function firstProgram(folders: readonly string[]): Promise<string | undefined> {
    for (const folder of folders) {
        const candidate = path.join(folder, NAME);
        if (await isProgram(candidate)) {
            return candidate;
        }
    }
    return undefined;
}

async function isProgram(file: string): Promise<boolean> {
    return access(file, constants.X_OK).then(
        () => true,
        () => false,
    );
}
