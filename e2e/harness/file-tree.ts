/** Trees of real files: taking one from this repository's `node_modules`, and comparing two. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, mkdir, readdir, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';

const nodeModules = join(import.meta.dirname, '..', '..', 'node_modules');
/** The few giants (the Node binary, the TypeScript compiler) say nothing that small files do not. */
const FILE_BYTES_MAX = 2 * 1024 * 1024;

async function listFiles(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .toSorted();
}

/**
 * Copies about `fileCount` files of `node_modules` to `target`, drawn evenly over the whole tree.
 *
 * @returns how many.
 */
export async function copySampleTree(target: string, fileCount: number): Promise<number> {
  const files = await listFiles(nodeModules);
  const step = Math.max(1, files.length / fileCount);
  let copiedCount = 0;
  for (let position = 0; position < files.length; position += step) {
    const file = files[Math.floor(position)] ?? '';
    const source = join(nodeModules, file);
    if ((await stat(source)).size > FILE_BYTES_MAX) continue;
    await mkdir(dirname(join(target, file)), { recursive: true });
    await copyFile(source, join(target, file));
    copiedCount += 1;
  }
  return copiedCount;
}

/** SHA-256 of a file, in hex. */
export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** What differs between two trees: paths that only one has, and files with other bytes. */
export async function treeDifferences(left: string, right: string): Promise<string[]> {
  const [leftFiles, rightFiles] = await Promise.all([listFiles(left), listFiles(right)]);
  const rightSet = new Set(rightFiles);
  const leftSet = new Set(leftFiles);
  const differences = [
    ...leftFiles.filter((file) => !rightSet.has(file)).map((file) => `missing: ${file}`),
    ...rightFiles.filter((file) => !leftSet.has(file)).map((file) => `too many: ${file}`),
  ];
  for (const file of leftFiles.filter((name) => rightSet.has(name))) {
    const [leftHash, rightHash] = await Promise.all([
      sha256OfFile(join(left, file)),
      sha256OfFile(join(right, file)),
    ]);
    if (leftHash !== rightHash) differences.push(`other bytes: ${file}`);
  }
  return differences;
}
