/** A directory for one test file, gone when it is done. On the disk, not in memory: it gets big. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const insideCheckout = join(import.meta.dirname, '..', '..', 'build', 'e2e');

export class Scratch {
  readonly path: string;

  constructor(name: string, base: string = insideCheckout) {
    mkdirSync(base, { recursive: true });
    this.path = mkdtempSync(join(base, `dozo-${name}-`));
  }

  join(...segments: readonly string[]): string {
    return join(this.path, ...segments);
  }

  /** Makes a directory inside. */
  directory(name: string): string {
    const path = this.join(name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  remove(): void {
    if (process.env['DOZO_E2E_KEEP'] === '1') console.log(`kept: ${this.path}`);
    else rmSync(this.path, { recursive: true, force: true });
  }
}
