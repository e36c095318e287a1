// Bundles the extension into dist/extension.js, and the licences of what is in it beside that.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

import { build } from 'esbuild';

const { metafile } = await build({
    entryPoints: ['src/extension.ts'],
    outfile: 'dist/extension.js',
    bundle: true,
    minify: true,
    platform: 'node',
    target: 'node20',
    external: ['vscode'],
    metafile: true,
});

const packages = new Set(
    Object.keys(metafile.inputs).flatMap((file) => file.match(/^.*node_modules\/[^/]+/)?.[0] ?? []),
);
const licences = [...packages].sort().map((folder) => {
    const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name));
    return `${folder.replace(/.*node_modules\//, '')}\n\n${readFileSync(`${folder}/${file}`, 'utf8')}`;
});
writeFileSync('dist/licences.txt', licences.join('\n----\n\n'));
