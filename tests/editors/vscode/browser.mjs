// Chromium for tests: each line on stdin is a piece of JavaScript about `page`, each line on stdout its
// value. Arguments: where playwright-core is, Chromium's program, a folder for its profile.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const [modules, executablePath, profile] = process.argv.slice(2);
const { chromium } = createRequire(`${modules}/`)('playwright-core');
const browser = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    viewport: { width: 1200, height: 720 },
    args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
    ],
});
const page = browser.pages()[0] ?? (await browser.newPage());
page.setDefaultTimeout(90000);

// What an extension-host test run reports.
const run = { log: [], code: null };
await page.exposeFunction('codeAutomationLog', (kind, words) => run.log.push(words.join(' ')));
await page.exposeFunction('codeAutomationExit', (code) => {
    run.code = code;
});

const Piece = Object.getPrototypeOf(async () => undefined).constructor;
for await (const line of createInterface({ input: process.stdin })) {
    const { code, given } = JSON.parse(line);
    let answer;
    try {
        answer = { value: (await new Piece('page', 'run', 'given', code)(page, run, given)) ?? null };
    } catch (error) {
        answer = { error: String(error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
