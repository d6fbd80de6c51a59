/** Which Dozo this is. */
import { readFileSync } from 'node:fs';

/** The version in the package's own manifest, which lies beside `src/` and beside `dist/` alike. */
export function dozoVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}
