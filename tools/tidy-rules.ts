/**
 * The rules of `tools/tidy.ts`: what must hold of the tree itself, beyond what compiler, linter and
 * dependency-cruiser see.
 *
 * Each rule is a pure function from the tree to findings, so that a test can hand it a tree of three
 * files. Source of the rules: `CONTRIBUTING.md`.
 */
import { posix } from 'node:path';

/** The files of the tree: path from the root with forward slashes, and text. */
export type Tree = ReadonlyMap<string, string>;

/** Something that must be put right. */
export interface Finding {
  readonly path: string;
  /** From 1; absent where the whole file is meant. */
  readonly line?: number;
  readonly message: string;
}

type Rule = (tree: Tree) => Finding[];

const CODE_LINES_MAX = 800;
const README_LINES_MAX = 120;
const PACKAGE_README_LINES_MAX = 40;

const drawerNames = new Set(['util', 'utils', 'common', 'helper', 'helpers', 'misc', 'shared']);
const codeFile = /\.(ts|mts|js|mjs|cjs)$/;
const ruleFile = /^tools\/tidy/;

interface Manifest {
  readonly name: string;
  readonly version?: string;
  readonly license?: string;
  readonly workspaces?: readonly string[];
  readonly dependencies?: Readonly<Record<string, string>>;
}

function manifestAt(tree: Tree, path: string): Manifest | undefined {
  const text = tree.get(path);
  return text === undefined ? undefined : (JSON.parse(text) as Manifest);
}

function packageFolders(tree: Tree): string[] {
  return [...tree.keys()]
    .filter((path) => /^packages\/[^/]+\/package\.json$/.test(path))
    .map((path) => posix.dirname(path));
}

/** Lines of a file; the newline at its end does not begin another one. */
function linesOf(text: string): string[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

function matchingLines(
  tree: Tree,
  files: (path: string) => boolean,
  pattern: RegExp,
  message: (found: string) => string,
): Finding[] {
  const findings: Finding[] = [];
  for (const [path, text] of tree) {
    if (!files(path) || !pattern.test(text)) continue;
    linesOf(text).forEach((line, index) => {
      const match = pattern.exec(line);
      if (match !== null)
        findings.push({ path, line: index + 1, message: message(match[0].trim()) });
    });
  }
  return findings;
}

/** No file of code is longer than anybody can hold in mind. */
const codeFilesAreShort: Rule = (tree) =>
  [...tree]
    .filter(([path, text]) => codeFile.test(path) && linesOf(text).length > CODE_LINES_MAX)
    .map(([path, text]) => ({
      path,
      message: `${linesOf(text).length} lines; at most ${CODE_LINES_MAX}. Split it by what it does.`,
    }));

/** No drawer for whatever has no place: a name says what is inside. */
const noDrawers: Rule = (tree) =>
  [...tree.keys()]
    .filter((path) =>
      path.split('/').some((segment) => drawerNames.has(segment.replace(/\..*$/, ''))),
    )
    .map((path) => ({ path, message: 'A drawer. Name it for what is inside.' }));

/** Files of code are named in kebab case for their main export. */
const codeFilesAreKebabCase: Rule = (tree) =>
  [...tree.keys()]
    .filter(
      (path) =>
        codeFile.test(path) &&
        !/^\.?[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+)+$/.test(posix.basename(path)),
    )
    .map((path) => ({ path, message: 'Not in kebab-case.' }));

/** Nothing is left for later in a comment: it is done, or it is an issue. */
const nothingUnfinished: Rule = (tree) =>
  matchingLines(
    tree,
    (path) => (codeFile.test(path) || path.endsWith('.md')) && !ruleFile.test(path),
    /\b(TODO|FIXME|XXX|HACK)\b|\/[/*].*\bfor now\b/,
    (found) => `"${found}": finish it, or say plainly in the documentation what is not there.`,
  );

/** Machines and registries of whoever wrote a line are nobody else's business. */
const noMachinePaths: Rule = (tree) => [
  ...matchingLines(
    tree,
    (path) => !ruleFile.test(path) && path !== 'LICENSE',
    /(^|[\s'"`(=:])\/(home|work|root|Users)\/[\w.-]+/,
    (found) => `"${found}" is a path of one machine.`,
  ),
  ...matchingLines(
    tree,
    (path) => path === 'package-lock.json',
    /"resolved": "https?:/,
    () => 'The lock file names a registry host. See omit-lockfile-registry-resolved in .npmrc.',
  ),
  ...matchingLines(
    tree,
    (path) => !ruleFile.test(path) && path !== 'package-lock.json',
    /^\s*(\/\/[^ ]+:_authToken|(@[\w-]+:)?registry)\s*=|https?:\/\/[^\s"')]*(artifactory|verdaccio|nexus)[^\s"')]*/,
    (found) => `"${found}" names a package registry.`,
  ),
];

/** Text files end with one newline, without blanks at line ends and carriage returns. */
const textIsClean: Rule = (tree) => {
  const findings: Finding[] = [];
  for (const [path, text] of tree) {
    if (path === 'LICENSE' || text === '' || text.includes('\0')) continue;
    if (!text.endsWith('\n')) findings.push({ path, message: 'No newline at its end.' });
    if (text.endsWith('\n\n')) findings.push({ path, message: 'Empty lines at its end.' });
    if (text.includes('\r\n')) findings.push({ path, message: 'Carriage returns at line ends.' });
    linesOf(text).forEach((line, index) => {
      if (/[ \t]$/.test(line))
        findings.push({ path, line: index + 1, message: 'Blanks at its end.' });
    });
  }
  return findings;
};

/** Every source file of a package begins by saying what it is for. */
const sourcesHaveFileComments: Rule = (tree) =>
  [...tree]
    .filter(
      ([path, text]) =>
        /^packages\/[^/]+\/src\/.*\.ts$/.test(path) &&
        !/(^|\/)index\.ts$|\.test\.ts$/.test(path) &&
        !text.startsWith('/**') &&
        !/^#!.*\n\/\*\*/.test(text),
    )
    .map(([path]) => ({
      path,
      message: 'No file comment. Say its purpose, what always holds, and where the idea is from.',
    }));

/** A package has a README that fits on a screen and one face with explicit names. */
const packagesAreWhole: Rule = (tree) => {
  const findings: Finding[] = [];
  const workspaces = manifestAt(tree, 'package.json')?.workspaces ?? [];
  const projects = tree.get('tsconfig.json') ?? '';
  for (const folder of packageFolders(tree)) {
    const readme = `${folder}/README.md`;
    const readmeLines = linesOf(tree.get(readme) ?? '').length;
    if (readmeLines === 0) findings.push({ path: readme, message: 'Missing.' });
    if (readmeLines > PACKAGE_README_LINES_MAX) {
      findings.push({
        path: readme,
        message: `${readmeLines} lines; at most ${PACKAGE_README_LINES_MAX}.`,
      });
    }
    const index = `${folder}/src/index.ts`;
    if (!tree.has(index)) findings.push({ path: index, message: 'Missing.' });
    if (/^export \*/m.test(tree.get(index) ?? '')) {
      findings.push({ path: index, message: 'Name every export; no "export *".' });
    }
    if (!workspaces.includes(folder)) {
      findings.push({ path: 'package.json', message: `${folder} is not among the workspaces.` });
    }
    if (!projects.includes(`"${folder}"`)) {
      findings.push({ path: 'tsconfig.json', message: `${folder} is not among the references.` });
    }
    const architecture = tree.get('ARCHITECTURE.md');
    if (architecture !== undefined && !architecture.includes(folder)) {
      findings.push({ path: 'ARCHITECTURE.md', message: `Does not mention ${folder}.` });
    }
  }
  return findings;
};

/** What a visitor looks for first is there, and short enough to be read. */
const frontPagesExist: Rule = (tree) => {
  const pages = [
    'README.md',
    'ARCHITECTURE.md',
    'CONTRIBUTING.md',
    'CHANGELOG.md',
    'LICENSE',
    'docs/glossary.md',
  ];
  const findings: Finding[] = pages
    .filter((path) => !tree.has(path))
    .map((path) => ({ path, message: 'Missing.' }));
  const readmeLines = linesOf(tree.get('README.md') ?? '').length;
  if (readmeLines > README_LINES_MAX) {
    findings.push({
      path: 'README.md',
      message: `${readmeLines} lines; at most ${README_LINES_MAX}.`,
    });
  }
  const license = tree.get('LICENSE');
  if (license !== undefined && !/Apache License\s+Version 2\.0/.test(license)) {
    findings.push({ path: 'LICENSE', message: 'Not the text of the Apache License 2.0.' });
  }
  return findings;
};

/** All packages carry one version and one license, and the changelog knows the version. */
const versionsAgree: Rule = (tree) => {
  const findings: Finding[] = [];
  const folders = packageFolders(tree);
  const versions = new Set<string>();
  const names = new Set(folders.map((folder) => manifestAt(tree, `${folder}/package.json`)?.name));
  for (const folder of folders) {
    const path = `${folder}/package.json`;
    const manifest = manifestAt(tree, path);
    if (manifest?.license !== 'Apache-2.0') {
      findings.push({ path, message: '"license" must be "Apache-2.0".' });
    }
    versions.add(manifest?.version ?? '(none)');
    for (const [name, range] of Object.entries(manifest?.dependencies ?? {})) {
      if (names.has(name) && range !== manifest?.version) {
        findings.push({ path, message: `Needs ${name} ${range}, not the version of this tree.` });
      }
    }
  }
  if (versions.size > 1) {
    const list = [...versions].join(', ');
    findings.push({ path: 'packages', message: `Packages carry different versions: ${list}.` });
  }
  const changelog = tree.get('CHANGELOG.md');
  for (const version of versions) {
    if (changelog === undefined) break;
    if (!new RegExp(`^## \\[?${version.replaceAll('.', '\\.')}\\b`, 'm').test(changelog)) {
      findings.push({ path: 'CHANGELOG.md', message: `No section "## ${version}".` });
    }
  }
  return findings;
};

/** Decision records are numbered once each, and each runtime dependency has one that names it. */
const decisionsAreRecorded: Rule = (tree) => {
  const findings: Finding[] = [];
  const byNumber = new Map<string, string>();
  let records = '';
  for (const [path, text] of tree) {
    if (!path.startsWith('docs/decisions/') || posix.basename(path) === 'README.md') continue;
    const match = /^docs\/decisions\/(\d{4})-[a-z0-9-]+\.md$/.exec(path);
    if (match === null) {
      findings.push({ path, message: 'Name it NNNN-what-was-decided.md.' });
      continue;
    }
    const number = match[1] ?? '';
    const other = byNumber.get(number);
    if (other !== undefined) findings.push({ path, message: `Has the number of ${other}.` });
    byNumber.set(number, path);
    records += text;
  }
  for (const folder of packageFolders(tree)) {
    const path = `${folder}/package.json`;
    for (const name of Object.keys(manifestAt(tree, path)?.dependencies ?? {})) {
      const ours = name === 'dozo' || name.startsWith('@dozo/');
      if (!ours && !records.includes(name)) {
        findings.push({ path, message: `No decision record names the dependency ${name}.` });
      }
    }
  }
  return findings;
};

/** Every golden file belongs to a format page that names it. */
const goldenFilesAreDocumented: Rule = (tree) => {
  const pages = [...tree].filter(([path]) => path.startsWith('docs/formats/'));
  return [...tree.keys()]
    .filter((path) => /\/golden\/[^/]+$/.test(path) && !codeFile.test(path))
    .filter((path) => !pages.some(([, text]) => text.includes(posix.basename(path))))
    .map((path) => ({ path, message: 'No page under docs/formats names this golden file.' }));
};

/** The anchor that a heading of a Markdown page gets. */
function slugOf(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(/\s/g, '-');
}

function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const match of text.matchAll(/^#{1,6} (.+)$/gm)) {
    const slug = slugOf(match[1] ?? '');
    let anchor = slug;
    for (let copy = 1; anchors.has(anchor); copy += 1) anchor = `${slug}-${copy}`;
    anchors.add(anchor);
  }
  return anchors;
}

/** Links between pages lead to a file or folder of the tree, and their anchors to a heading. */
const linksResolve: Rule = (tree) => {
  const folders = new Set<string>();
  for (const path of tree.keys()) {
    for (let folder = posix.dirname(path); folder !== '.'; folder = posix.dirname(folder)) {
      folders.add(folder);
    }
  }
  const findings: Finding[] = [];
  for (const [path, text] of tree) {
    if (!path.endsWith('.md')) continue;
    const prose = text.replaceAll(/```[\s\S]*?```/g, (block) => block.replaceAll(/[^\n]/g, ' '));
    linesOf(prose).forEach((line, index) => {
      for (const match of line.matchAll(/\]\(([^)\s]+)\)/g)) {
        const link = match[1] ?? '';
        if (/^[a-z]+:/.test(link)) continue;
        const [file = '', anchor] = link.split('#');
        const target =
          file === '' ? path : posix.join(posix.dirname(path), file).replace(/\/$/, '');
        const broken =
          (!tree.has(target) && !folders.has(target)) ||
          (anchor !== undefined && !anchorsOf(tree.get(target) ?? '').has(anchor));
        if (broken) findings.push({ path, line: index + 1, message: `"${link}" leads nowhere.` });
      }
    });
  }
  return findings;
};

/** Everything that `tools/tidy.ts` asks. */
export const rules: Readonly<Record<string, Rule>> = {
  codeFilesAreShort,
  noDrawers,
  codeFilesAreKebabCase,
  nothingUnfinished,
  noMachinePaths,
  textIsClean,
  sourcesHaveFileComments,
  packagesAreWhole,
  frontPagesExist,
  versionsAgree,
  decisionsAreRecorded,
  goldenFilesAreDocumented,
  linksResolve,
};
