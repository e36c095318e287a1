// Runs inside VS Code's extension host: the extension as other code in the editor sees it.
//
// The runtime answers "answer()" (see test_vscode_host.py), after a while where the file says so.

const assert = require('node:assert/strict');
const vscode = require('vscode');

const TIMEOUT_MS = 60000;

/** Every command of the manifest is there, and the server's own beside them. */
async function commandsAreRegistered() {
    const commands = await vscode.commands.getCommands(true);
    const { contributes } = extension().packageJSON;
    const wanted = contributes.commands.map(({ command }) => command);
    assert.deepEqual(wanted.filter((command) => !commands.includes(command)), []);
    assert.ok(commands.includes('codegeex.translate'));
}

async function aSuggestionIsAccepted() {
    const editor = await write('total = ');
    await until(() => accepted(editor, 'total = answer()'));
}

/** Emoji take two UTF-16 units; the text goes behind them all the same. */
async function emojiBeforeTheCursorMoveNothing() {
    const editor = await write('名前 = "😀é" + ');
    await until(() => accepted(editor, '名前 = "😀é" + answer()'));
}

async function aCodeActionEditsTheFile() {
    const editor = await write('total = 1');
    const all = new vscode.Range(0, 0, 0, 9);
    const list = () =>
        vscode.commands.executeCommand('vscode.executeCodeActionProvider', editor.document.uri, all);
    const actions = await until(async () => {
        const found = await list();
        return found.some(({ title }) => title === 'CodeGeeX: Translate to Java') && found;
    });
    const { command } = actions.find(({ title }) => title === 'CodeGeeX: Translate to Java');
    await vscode.commands.executeCommand(command.command, ...command.arguments);
    await until(() => editor.document.getText() === '# total = 1\nint total = 1;');
}

async function aLanguageIsTurnedOffAndOn() {
    const off = () => vscode.workspace.getConfiguration('codegeex.completion').get('disabledLanguages');
    await vscode.commands.executeCommand('codegeex.toggleLanguage');
    await until(() => off().join() === 'python');
    await vscode.commands.executeCommand('codegeex.toggleLanguage');
    await until(() => off().length === 0);
}

/** The interpreter's folder is searched when neither setting nor PATH names the program. */
async function theServerIsFoundBesidePython() {
    const python = vscode.extensions.getExtension('ms-python.python');
    await python.activate();
    const settings = vscode.workspace.getConfiguration('codegeex');
    await settings.update('server.path', undefined, vscode.ConfigurationTarget.Workspace);
    const before = python.exports.asked;
    await vscode.commands.executeCommand('codegeex.restartServer');
    assert.ok(python.exports.asked > before);
    const editor = await write('y = ');
    await until(() => accepted(editor, 'y = answer()'));
}

async function aRestartedServerAnswers() {
    await vscode.commands.executeCommand('codegeex.restartServer');
    const editor = await write('again = ');
    await until(() => accepted(editor, 'again = answer()'));
}

exports.run = async () => {
    await extension().activate();
    for (const test of [
        commandsAreRegistered,
        aSuggestionIsAccepted,
        emojiBeforeTheCursorMoveNothing,
        aCodeActionEditsTheFile,
        aLanguageIsTurnedOffAndOn,
        aRestartedServerAnswers,
        theServerIsFoundBesidePython,
    ]) {
        await test();
        console.log(`passed: ${test.name}`);
    }
};

function extension() {
    return vscode.extensions.getExtension('codegeex-lsp.codegeex-lsp');
}

/** The file with this text, the caret at its end. */
async function write(text) {
    const editor = vscode.window.activeTextEditor;
    const whole = new vscode.Range(0, 0, editor.document.lineCount, 0);
    await editor.edit((edit) => edit.replace(whole, text));
    const end = editor.document.positionAt(text.length);
    editor.selection = new vscode.Selection(end, end);
    return editor;
}

async function accepted(editor, text) {
    await vscode.commands.executeCommand('editor.action.inlineSuggest.trigger');
    await new Promise((resolve) => setTimeout(resolve, 100));
    await vscode.commands.executeCommand('editor.action.inlineSuggest.commit');
    return editor.document.getText() === text;
}

async function until(condition) {
    const end = Date.now() + TIMEOUT_MS;
    while (Date.now() < end) {
        const held = await condition();
        if (held) {
            return held;
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`never true; the file is ${vscode.window.activeTextEditor.document.getText()}`);
}
