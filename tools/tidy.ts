/**
 * Checks the tree itself: sizes, names, pages, links, versions. Part of `npm run check`.
 *
 * Reads every file that git knows or would take, and prints one line for each finding. The rules are
 * in `tidy-rules.ts`.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { rules, type Tree } from './tidy-rules.ts';

const root = join(import.meta.dirname, '..');

function readTree(): Tree {
  const listed = execFileSync(
    'git',
    ['ls-files', '-z', '--cached', '--others', '--exclude-standard'],
    { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 },
  );
  const tree = new Map<string, string>();
  for (const path of listed.split('\0')) {
    // A file that was deleted and not yet committed is still listed.
    if (path === '' || !existsSync(join(root, path))) continue;
    // Latin-1 keeps binary files (golden ones) readable as text without loss.
    const bytes = readFileSync(join(root, path));
    tree.set(path, bytes.includes(0) ? bytes.toString('latin1') : bytes.toString('utf8'));
  }
  return tree;
}

const tree = readTree();
let findingCount = 0;
for (const [name, rule] of Object.entries(rules)) {
  for (const { path, line, message } of rule(tree)) {
    findingCount += 1;
    console.error(`${path}${line === undefined ? '' : `:${line}`}: ${message} (${name})`);
  }
}
if (findingCount > 0) {
  console.error(`tidy: ${findingCount} findings in ${tree.size} files.`);
  process.exitCode = 1;
} else {
  console.log(`tidy: ${tree.size} files, ${Object.keys(rules).length} rules, nothing to say.`);
}
