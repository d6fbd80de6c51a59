import { expect, test } from 'vitest';

import { runTool } from './run-tool.ts';

test('what a program says is trimmed', async () => {
  expect(await runTool(['sh', '-c', 'echo "  said "'])).toBe('said');
});

test('a program that fails is LAB_FAILED, with what it said', async () => {
  await expect(runTool(['sh', '-c', 'echo no such disk >&2; exit 3'])).rejects.toMatchObject({
    detail: { code: 'LAB_FAILED' },
    message: expect.stringContaining('no such disk') as string,
  });
});

test('a program that is not there is LAB_FAILED, with what the kernel said', async () => {
  await expect(runTool(['dozo-has-no-such-program'])).rejects.toMatchObject({
    detail: { code: 'LAB_FAILED' },
    message: expect.stringContaining('ENOENT') as string,
  });
});
