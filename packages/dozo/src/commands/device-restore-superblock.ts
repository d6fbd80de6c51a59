/** `dozo device restore-superblock`: the intact copy in the place of a damaged first superblock. */
import { restoreSuperblock } from '@dozo/engine';

import type { CommandContext } from '../command-context.ts';
import { openDeviceAlone } from '../composition/open-device.ts';
import { EXIT_DONE } from '../exit-codes.ts';

/** Changes one block, under the kernel's lock, and only where there is an intact copy. */
export async function runRestoreSuperblock(context: CommandContext, path: string): Promise<number> {
  const device = await openDeviceAlone(path, 'restore the superblock of');
  try {
    const isRestored = await restoreSuperblock(device);
    context.output.write(
      isRestored
        ? `${path}: the superblock is back from its copy. Now say: dozo device verify ${path}\n`
        : `${path}: the superblock is intact; nothing was changed\n`,
    );
  } finally {
    await device.close();
  }
  return EXIT_DONE;
}
