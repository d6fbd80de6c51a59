import { describe, expect, test } from 'vitest';
import { rules, type Tree } from './tidy-rules.ts';

function treeOf(files: Readonly<Record<string, string>>): Tree {
  return new Map(Object.entries(files));
}

const manifest = (fields: object): string => JSON.stringify({ license: 'Apache-2.0', ...fields });

interface Case {
  readonly good: Record<string, string>;
  readonly bad: readonly (readonly [path: string, files: Record<string, string>])[];
}

/** For each rule one tree that it must like and trees that it must not, with the path to blame. */
const cases: Readonly<Record<string, Case>> = {
  codeFilesAreShort: {
    good: { 'a.ts': 'line\n'.repeat(800), 'long.md': 'line\n'.repeat(900) },
    bad: [['a.ts', { 'a.ts': 'line\n'.repeat(801) }]],
  },
  noDrawers: {
    good: { 'packages/a/src/utility-bill.ts': '' },
    bad: [
      ['packages/a/src/utils.ts', { 'packages/a/src/utils.ts': '' }],
      ['packages/a/helpers/x.ts', { 'packages/a/helpers/x.ts': '' }],
      ['common.test.ts', { 'common.test.ts': '' }],
    ],
  },
  codeFilesAreKebabCase: {
    good: { 'a-b.test.ts': '', 'c.ts': '', '.dependency-cruiser.mjs': '', 'README.md': '' },
    bad: [
      ['aB.ts', { 'aB.ts': '' }],
      ['a_b.ts', { 'a_b.ts': '' }],
    ],
  },
  nothingUnfinished: {
    good: { 'a.ts': '// It holds for nowhere else.\n', 'b.bin': 'TODO' },
    bad: [
      ['a.ts', { 'a.ts': '// TODO: more\n' }],
      ['a.md', { 'a.md': 'FIXME\n' }],
      ['b.ts', { 'b.ts': 'f(); // enough for now\n' }],
    ],
  },
  noMachinePaths: {
    good: { 'a.md': 'see https://example.org/home/page and docs/work/x\n' },
    bad: [
      ['a.md', { 'a.md': 'look in /home/somebody/x\n' }],
      ['.npmrc', { '.npmrc': 'registry=https://packages.example.org/\n' }],
      ['package-lock.json', { 'package-lock.json': '"resolved": "https://x.example/a.tgz"\n' }],
    ],
  },
  textIsClean: {
    good: { 'a.ts': 'x\n', 'empty.ts': '', 'golden.bin': '\0 \n' },
    bad: [
      ['a.ts', { 'a.ts': 'x' }],
      ['b.ts', { 'b.ts': 'x\n\n' }],
      ['c.ts', { 'c.ts': 'x \n' }],
      ['d.ts', { 'd.ts': 'x\r\n' }],
    ],
  },
  sourcesHaveFileComments: {
    good: {
      'packages/a/src/a.ts': '/** Why. */\n',
      'packages/a/src/index.ts': 'export {};\n',
      'packages/a/src/a.test.ts': 'x\n',
      'packages/a/src/start.ts': '#!/usr/bin/env node\n/** Why. */\n',
    },
    bad: [['packages/a/src/a.ts', { 'packages/a/src/a.ts': "import 'x';\n" }]],
  },
  packagesAreWhole: {
    good: {
      'package.json': manifest({ workspaces: ['packages/a'] }),
      'tsconfig.json': '{ "path": "packages/a" }',
      'ARCHITECTURE.md': '`packages/a`\n',
      'packages/a/package.json': manifest({ name: '@dozo/a' }),
      'packages/a/README.md': '# a\n',
      'packages/a/src/index.ts': "export { a } from './a.ts';\n",
    },
    bad: [
      ['packages/a/README.md', { 'packages/a/package.json': manifest({ name: 'a' }) }],
      ['packages/a/src/index.ts', { 'packages/a/package.json': manifest({ name: 'a' }) }],
      ['package.json', { 'packages/a/package.json': manifest({ name: 'a' }) }],
      ['tsconfig.json', { 'packages/a/package.json': manifest({ name: 'a' }) }],
      [
        'packages/a/src/index.ts',
        {
          'packages/a/package.json': manifest({ name: 'a' }),
          'packages/a/src/index.ts': "export * from './a.ts';\n",
        },
      ],
      [
        'packages/a/README.md',
        {
          'packages/a/package.json': manifest({ name: 'a' }),
          'packages/a/README.md': 'line\n'.repeat(41),
        },
      ],
      [
        'ARCHITECTURE.md',
        { 'packages/a/package.json': manifest({ name: 'a' }), 'ARCHITECTURE.md': '# All\n' },
      ],
    ],
  },
  frontPagesExist: {
    good: {
      'README.md': 'x\n',
      'ARCHITECTURE.md': 'x\n',
      'CONTRIBUTING.md': 'x\n',
      'CHANGELOG.md': 'x\n',
      'docs/glossary.md': 'x\n',
      LICENSE: 'Apache License\n  Version 2.0, January 2004\n',
    },
    bad: [
      ['CONTRIBUTING.md', {}],
      ['README.md', { 'README.md': 'line\n'.repeat(121) }],
      ['LICENSE', { LICENSE: 'All rights reserved.\n' }],
    ],
  },
  versionsAgree: {
    good: {
      'packages/a/package.json': manifest({ name: '@dozo/a', version: '0.1.0' }),
      'packages/b/package.json': manifest({
        name: '@dozo/b',
        version: '0.1.0',
        dependencies: { '@dozo/a': '0.1.0', commander: '^15.0.0' },
      }),
      'CHANGELOG.md': '# Changelog\n\n## 0.1.0 (unreleased)\n',
    },
    bad: [
      [
        'packages',
        {
          'packages/a/package.json': manifest({ name: 'a', version: '0.1.0' }),
          'packages/b/package.json': manifest({ name: 'b', version: '0.2.0' }),
        },
      ],
      [
        'CHANGELOG.md',
        {
          'packages/a/package.json': manifest({ name: 'a', version: '0.1.0' }),
          'CHANGELOG.md': '## 0.1.01\n',
        },
      ],
      [
        'packages/b/package.json',
        {
          'packages/a/package.json': manifest({ name: 'a', version: '0.1.0' }),
          'packages/b/package.json': manifest({
            name: 'b',
            version: '0.1.0',
            dependencies: { a: '0.0.9' },
          }),
        },
      ],
      [
        'packages/a/package.json',
        { 'packages/a/package.json': manifest({ name: 'a', version: '1.0.0', license: 'MIT' }) },
      ],
    ],
  },
  decisionsAreRecorded: {
    good: {
      'packages/a/package.json': manifest({ name: 'a', dependencies: { sax: '1.0.0' } }),
      'docs/decisions/0001-xml-with-sax.md': '# sax\n',
      'docs/decisions/README.md': 'x\n',
    },
    bad: [
      [
        'docs/decisions/0001-b.md',
        { 'docs/decisions/0001-a.md': '', 'docs/decisions/0001-b.md': '' },
      ],
      ['docs/decisions/why.md', { 'docs/decisions/why.md': '' }],
      [
        'packages/a/package.json',
        { 'packages/a/package.json': manifest({ name: 'a', dependencies: { sax: '1.0.0' } }) },
      ],
    ],
  },
  goldenFilesAreDocumented: {
    good: {
      'packages/a/tests/golden/slot.bin': 'x',
      'docs/formats/claim-area.md': 'golden file: `slot.bin`\n',
    },
    bad: [['packages/a/tests/golden/slot.bin', { 'packages/a/tests/golden/slot.bin': 'x' }]],
  },
  linksResolve: {
    good: {
      'README.md': '[a](docs/a.md) [b](docs/a.md#one-thing-1) [c](docs/) [d](https://x.example)\n',
      'docs/a.md': '# One thing\n\n## One thing\n\n[up](../README.md)\n\n```\n[x](y)\n```\n',
    },
    bad: [
      ['README.md', { 'README.md': '[a](docs/b.md)\n' }],
      ['README.md', { 'README.md': '# A\n\n[a](#b)\n' }],
    ],
  },
};

describe.each(Object.entries(cases))('%s', (name, { good, bad }) => {
  const rule = rules[name];

  test('has nothing to say about a tree that keeps it', () => {
    expect(rule?.(treeOf(good))).toEqual([]);
  });

  test.each(bad)('blames %s in a tree that breaks it', (path, files) => {
    expect(rule?.(treeOf(files)).map((finding) => finding.path)).toContain(path);
  });
});

test('every rule has a tree that breaks it', () => {
  expect(Object.keys(cases).toSorted()).toEqual(Object.keys(rules).toSorted());
});
