/** Runs foreign programs: with a deadline, bounded output, and an error that tells what they said. */
import { spawn } from 'node:child_process';

export interface CommandOptions {
  /** Over this process's own; undefined takes a variable away. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly workingDirectory?: string;
  readonly timeoutMs?: number;
  readonly input?: string | Uint8Array;
}

export interface CommandResult {
  /** Null when a signal ended it. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;
const TIMEOUT_MS = 10 * 60_000;

/** Collects a stream up to a bound; what comes after is dropped. */
function collect(stream: NodeJS.ReadableStream): () => string {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  stream.on('data', (chunk: Buffer) => {
    if (sizeBytes < OUTPUT_BYTES_MAX) chunks.push(chunk);
    sizeBytes += chunk.length;
  });
  return () => Buffer.concat(chunks).toString('utf8');
}

/** Runs a program to its end, however that is. */
export function tryCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.workingDirectory,
      env: { ...process.env, ...options.environment },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const stdout = collect(child.stdout);
    const stderr = collect(child.stderr);
    const deadline = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? TIMEOUT_MS);
    child.stdin.on('error', () => {
      // A program may end without reading its input.
    });
    child.stdin.end(options.input ?? '');
    child.on('error', (error) => {
      clearTimeout(deadline);
      reject(error);
    });
    child.on('close', (status) => {
      clearTimeout(deadline);
      resolve({ status, stdout: stdout(), stderr: stderr() });
    });
  });
}

/** Runs a program that must succeed. @returns what it wrote to its output. */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const result = await tryCommand(command, args, options);
  if (result.status === 0) return result.stdout;
  const said = `${result.stdout.slice(-2_000)}\n${result.stderr.slice(-4_000)}`.trim();
  const end = result.status === null ? 'was killed (deadline?)' : `ended with ${result.status}`;
  throw new Error(`${command} ${args.join(' ')} ${end}:\n${said}`);
}
