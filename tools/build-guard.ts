/**
 * Makes the guard as a single file: `build/dozo-guard-linux-ARCH`, and `build/dozo-guard`, a script of a
 * few lines that starts it or says why it cannot run.
 *
 * The guard's modules become one script; Node stores it, together with koffi's native part, in a copy
 * of its own binary (a "single executable application"). For each processor whose `node-linux-ARCH`
 * is installed, a file is made; the others are named. Symbols that only debuggers read are stripped.
 * Neither a code cache nor options for a smaller heap were worth it: no difference could be measured in
 * the processor time of a start, and 0.5 to 1 MB of 13 to 23 in memory.
 *
 * Source: nodejs.org/api/single-executable-applications.html; docs/decisions/0006-the-guard-in-one-file.md.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import type { Plugin } from 'rolldown';

const root = join(import.meta.dirname, '..');
const build = join(root, 'build');
const work = join(build, 'guard');
const singleFile = join(root, 'packages', 'dozo', 'src', 'single-file');

/** What Node's binary has where a stored program can be told of. */
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

const ARCHITECTURES = ['x64', 'arm64'] as const;
type Architecture = (typeof ARCHITECTURES)[number];

/** Modules that lie elsewhere, or read files of the package, in a single file. */
function singleFileModules(version: string): Plugin {
  const koffi = join(singleFile, 'koffi.ts');
  return {
    name: 'single-file-modules',
    resolveId: (id) => (id === 'koffi' ? '\0koffi' : null),
    load(id) {
      if (id === '\0koffi') {
        return `import { loadKoffi } from ${JSON.stringify(koffi)};\nexport default loadKoffi();\n`;
      }
      if (id === join(root, 'packages', 'dozo', 'src', 'version.ts')) {
        return `export const dozoVersion = () => ${JSON.stringify(version)};\n`;
      }
      return null;
    },
  };
}

async function bundle(): Promise<string> {
  const manifest = readFileSync(join(root, 'packages', 'dozo', 'package.json'), 'utf8');
  const { version } = JSON.parse(manifest) as { readonly version: string };
  const script = join(work, 'guard.cjs');
  const bundled = await rolldown({
    input: join(singleFile, 'entry.ts'),
    platform: 'node',
    plugins: [singleFileModules(version)],
  });
  await bundled.write({ file: script, format: 'cjs', codeSplitting: false });
  await bundled.close();
  return script;
}

/** The files that are put together, or undefined where they are not installed. */
function partsFor(
  architecture: Architecture,
): { readonly node: string; readonly koffi: string } | undefined {
  const modules = join(root, 'node_modules');
  const node = join(modules, `node-linux-${architecture}`, 'bin', 'node');
  const native = `koffi-linux-${architecture}/linux_${architecture}/koffi.node`;
  const koffi = join(modules, '@koromix', native);
  return existsSync(node) && existsSync(koffi) ? { node, koffi } : undefined;
}

function buildFor(architecture: Architecture, script: string): string | undefined {
  const parts = partsFor(architecture);
  if (parts === undefined) return undefined;
  const binary = join(build, `dozo-guard-linux-${architecture}`);
  const blob = join(work, `${architecture}.blob`);
  const configuration = join(work, `${architecture}.json`);
  writeFileSync(
    configuration,
    JSON.stringify({
      main: script,
      output: blob,
      disableExperimentalSEAWarning: true,
      // NODE_OPTIONS are the program's.
      execArgvExtension: 'none',
      assets: { 'koffi.node': parts.koffi },
    }),
  );
  execFileSync(process.execPath, ['--experimental-sea-config', configuration], { stdio: 'pipe' });
  rmSync(binary, { force: true });
  copyFileSync(parts.node, binary);
  if (spawnSync('strip', [binary], { stdio: 'ignore' }).status !== 0) {
    console.log(`(No strip for ${architecture} here: the file is 18 MB larger than it need be.)`);
  }
  // A process of its own: it prints warnings about section names that nothing reads.
  const injector = fileURLToPath(import.meta.resolve('postject/dist/cli.js'));
  const injection = [injector, binary, 'NODE_SEA_BLOB', blob, '--sentinel-fuse', FUSE];
  execFileSync(process.execPath, injection, { stdio: 'pipe' });
  chmodSync(binary, 0o755);
  return binary;
}

rmSync(work, { recursive: true, force: true });
mkdirSync(work, { recursive: true });
const script = await bundle();
copyFileSync(join(root, 'tools', 'dozo-guard.sh'), join(build, 'dozo-guard'));
chmodSync(join(build, 'dozo-guard'), 0o755);
for (const architecture of ARCHITECTURES) {
  const binary = buildFor(architecture, script);
  if (binary === undefined) {
    console.log(`No file for ${architecture}: its Node and koffi are not installed here.`);
  } else {
    const megabytes = (statSync(binary).size / 1e6).toFixed(1);
    console.log(`Built ${relative(process.cwd(), binary)} (${megabytes} MB).`);
  }
}
