/** `dozo version`: what to write into a bug report. */
import { release } from 'node:os';

import type { CommandContext } from '../command-context.ts';
import { EXIT_DONE } from '../exit-codes.ts';
import { dozoVersion } from '../version.ts';

/** Prints the versions of Dozo and of what it runs on. */
export function showVersion(context: CommandContext, options: { readonly json: boolean }): number {
  const report = {
    dozo: dozoVersion(),
    node: process.versions.node,
    platform: process.platform,
    architecture: process.arch,
    kernel: release(),
  };
  context.output.write(
    options.json
      ? `${JSON.stringify(report, undefined, 2)}\n`
      : `dozo ${report.dozo} (Node.js ${report.node}, ${report.platform} ${report.architecture}, kernel ${report.kernel})\n`,
  );
  return EXIT_DONE;
}
