import { expect, test } from 'vitest';

import { containerCommand } from './container.ts';

test('the program comes last and unchanged, whatever its arguments hold', () => {
  const command = containerCommand({ privateDirectory: '/run/x' }, ['node', 'a b', '"$(false)"']);
  expect(command.slice(-3)).toEqual(['node', 'a b', '"$(false)"']);
});

test('paths are quoted for the shell', () => {
  const script = containerCommand({ privateDirectory: "/run/it's $HOME" }, ['true']).join(' ');
  expect(script).toContain("dozo-lab '/run/it'\\''s $HOME'");
});

test('a private file is mounted over its name, a device node is made in the private directory', () => {
  const script = containerCommand(
    {
      privateDirectory: '/run/x',
      privateFiles: ['/data/LOCK'],
      deviceNodes: [{ path: '/run/x/disk', major: 7, minor: 3 }],
    },
    ['true'],
  ).join(' ');
  expect(script).toContain("mount --bind '/run/x'/private-0 '/data/LOCK'");
  expect(script).toContain("mknod -m 600 '/run/x/disk' b 7 3");
});
