/** `npm run check:prose`: finds long sentences and hard words in all texts that people read. */
import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { TextlintKernel } from '@textlint/kernel';
import markdown from '@textlint/textlint-plugin-markdown';
import { plainWords, sentenceLength } from './rules.ts';
import { listProse } from './sources.ts';

const PROJECT = resolve(import.meta.dirname, '../..');
const PATHS = /\.(md|ts|js|lua|sql|toml)$|\.env\.example$/;
const OTHERS = /^drizzle\/migrations\/meta\/|^LICENSE/;

const kernel = new TextlintKernel();
/** Paths on the command line narrow the check to those files and folders. */
const asked = process.argv.slice(2);
const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: PROJECT,
  encoding: 'utf8',
})
  .trim()
  .split('\n')
  .filter((file) => PATHS.test(file) && !OTHERS.test(file))
  .filter(
    (file) =>
      asked.length === 0 ||
      asked.some((path) => file === path || file.startsWith(`${path.replace(/\/$/, '')}/`)),
  );

process.chdir(PROJECT);
let findings = 0;
let texts = 0;
for (const file of files)
  for (const { line, text } of listProse(file)) {
    texts++;
    const { messages } = await kernel.lintText(text, {
      ext: '.md',
      plugins: [
        { pluginId: 'markdown', plugin: (markdown as { default?: typeof markdown }).default ?? markdown },
      ],
      rules: [
        { ruleId: 'sentence-length', rule: sentenceLength },
        { ruleId: 'plain-words', rule: plainWords },
      ],
    });
    for (const message of messages) {
      findings++;
      console.log(`${file}:${line + message.line - 1} ${message.message}`);
    }
  }
console.log(`${findings} findings in ${texts} texts of ${files.length} files`);
process.exitCode = findings === 0 ? 0 : 1;
