/**
 * Makes what is published: `build/packages/NAME` with JavaScript, types and a package.json of its own.
 *
 * A checkout runs its TypeScript directly, and its packages export `src/*.ts`. Node does not strip
 * types under `node_modules`, so a published package exports `dist/*.js`. Built are the `dozo` package
 * and every package that it needs; they go out together under one version.
 *
 * Everything happens under `build/`: the `dist` folders of the packages belong to `tsc --build`.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly license: string;
  readonly type: string;
  readonly engines: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string>>;
  readonly bin?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const root = join(import.meta.dirname, '..');
const packagesOut = join(root, 'build', 'packages');
const projectsOut = join(root, 'build', 'projects');

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8'));
}

function writeJson(path: string, value: unknown): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);
}

function manifestOf(folder: string): Manifest {
  return readJson(join(root, 'packages', folder, 'package.json')) as Manifest;
}

/** The folder of a package of this tree, or undefined for one from npm. */
function folderOf(packageName: string): string | undefined {
  if (packageName === 'dozo') return 'dozo';
  return packageName.startsWith('@dozo/') ? packageName.slice('@dozo/'.length) : undefined;
}

function neededFolders(manifest: Manifest): string[] {
  return Object.keys(manifest.dependencies ?? {})
    .map(folderOf)
    .filter((folder) => folder !== undefined);
}

/** `dozo` and all that it needs, each after what it needs itself. */
function publishedFolders(): string[] {
  const found = new Set<string>();
  const visit = (folder: string): void => {
    if (found.has(folder)) return;
    neededFolders(manifestOf(folder)).forEach(visit);
    found.add(folder);
  };
  visit('dozo');
  return [...found];
}

/** A compiler project like the package's own, but with JavaScript, and with everything in `build`. */
function writeProject(folder: string): string {
  const source = join(root, 'packages', folder);
  const path = join(projectsOut, folder, 'tsconfig.json');
  writeJson(path, {
    extends: join(source, 'tsconfig.json'),
    compilerOptions: {
      rootDir: join(source, 'src'),
      outDir: join(packagesOut, folder, 'dist'),
      tsBuildInfoFile: join(projectsOut, folder, 'tsconfig.tsbuildinfo'),
      typeRoots: [join(root, 'node_modules', '@types')],
      emitDeclarationOnly: false,
    },
    include: [join(source, 'src'), join(root, 'tools', 'pure-globals.d.ts')].slice(
      0,
      usesNode(source) ? 1 : 2,
    ),
    exclude: [join(source, 'src/**/*.test.ts')],
    references: neededFolders(manifestOf(folder)).map((needed) => ({ path: `../${needed}` })),
  });
  return path;
}

/** Whether a package knows Node's types; the others compile against a few globals only. */
function usesNode(source: string): boolean {
  return !readFileSync(join(source, 'tsconfig.json'), 'utf8').includes('pure-globals.d.ts');
}

/** `./src/x.ts`, which a checkout exports, as what is published of it. */
function publishedExport(source: string): { types: string; default: string } {
  const built = source.replace(/^\.\/src\//, './dist/');
  if (built === source) throw new Error(`An export outside src cannot be published: ${source}`);
  return { types: built.replace(/\.ts$/, '.d.ts'), default: built.replace(/\.ts$/, '.js') };
}

function writePackage(folder: string): void {
  const source = join(root, 'packages', folder);
  const target = join(packagesOut, folder);
  const manifest = manifestOf(folder);
  // An older Node on the machine goes on with this one; see bin/dozo.js.
  const runtime = (readJson(join(root, 'package.json')) as Manifest).optionalDependencies;
  writeJson(join(target, 'package.json'), {
    name: manifest.name,
    version: manifest.version,
    description: manifest.description,
    license: manifest.license,
    type: manifest.type,
    engines: manifest.bin === undefined ? manifest.engines : undefined,
    exports: Object.fromEntries(
      Object.entries(manifest.exports).map(([face, path]) => [face, publishedExport(path)]),
    ),
    bin: manifest.bin,
    files: ['bin', 'dist'],
    dependencies: manifest.dependencies,
    optionalDependencies: { ...manifest.optionalDependencies, ...(manifest.bin && runtime) },
  });
  cpSync(join(root, 'LICENSE'), join(target, 'LICENSE'));
  for (const name of ['README.md', 'bin']) {
    const path = join(source, name);
    if (existsSync(path)) cpSync(path, join(target, name), { recursive: true });
  }
}

rmSync(packagesOut, { recursive: true, force: true });
rmSync(projectsOut, { recursive: true, force: true });
const folders = publishedFolders();
const projects = folders.map(writeProject);
const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
const compiled = spawnSync(process.execPath, [compiler, '--build', ...projects], {
  stdio: 'inherit',
});
if (compiled.status === 0) {
  folders.forEach(writePackage);
  console.log(`Built ${folders.join(', ')} in ${relative(process.cwd(), packagesOut)}.`);
} else {
  console.error('Nothing was built: the compiler says what must be put right first.');
  process.exitCode = 1;
}
