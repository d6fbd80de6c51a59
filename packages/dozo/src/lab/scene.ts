/**
 * Where one part of the lab plays: a directory, disks, daemons. Whatever happens, {@link Scene.close}
 * leaves nothing behind.
 *
 * And if it is never called, because the lab itself was killed: daemons die with it (parent-death
 * signal, and their input ends); mounts live in the daemons' own namespaces; loop devices were told to
 * go with their last user (autoclear), and only processes of the lab use them. What stays is a
 * directory with sparse files.
 */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, statSync, truncateSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { Clock } from '@dozo/base';

import type { Abilities } from './abilities.ts';
import { containerCommand } from './container.ts';
import type { CommandLine, ContainerPlan } from './container.ts';
import { DaemonProcess } from './daemon-process.ts';
import { majorOf, minorOf } from './file-identity.ts';
import { runTool, toolEnvironment } from './run-tool.ts';

/** The programs that can be started: entries of this folder. */
export type DaemonEntry = 'naive-daemon' | 'leveldb-daemon' | 'dozo-writer';

export interface SceneOptions {
  /** Holds the directories of all scenes. */
  readonly baseDirectory: string;
  /** Of its directory: no other scene that is open has it. */
  readonly name: string;
  readonly abilities: Abilities;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** A disk: its file, and the block device on it if there is one. */
export interface Disk {
  readonly file: string;
  /** The loop device, or else the file again. */
  readonly path: string;
  /** `major:minor` of the loop device. */
  readonly number?: { readonly major: number; readonly minor: number };
}

export interface StartOptions {
  readonly name: string;
  readonly entry: DaemonEntry;
  readonly arguments: object;
  /** Absent: it runs beside everything else on the machine. */
  readonly container?: ContainerPlan | undefined;
}

export class Scene {
  readonly directory: string;
  readonly abilities: Abilities;
  readonly #options: SceneOptions;
  readonly #daemons: DaemonProcess[] = [];
  /** Descriptors that keep loop devices alive as long as the lab lives. */
  readonly #loopDescriptors: number[] = [];
  #isClosed = false;

  constructor(options: SceneOptions) {
    this.#options = options;
    this.abilities = options.abilities;
    this.directory = join(options.baseDirectory, options.name);
    mkdirSync(this.directory);
  }

  /** Makes a directory inside. */
  makeDirectory(name: string): string {
    const path = join(this.directory, name);
    mkdirSync(path);
    return path;
  }

  /** Makes a sparse file, and a loop device on it where that is possible. */
  async makeDisk(name: string, sizeBytes: number): Promise<Disk> {
    const file = join(this.directory, name);
    closeSync(openSync(file, 'wx', 0o600));
    truncateSync(file, sizeBytes);
    return this.abilities.loopDevices === undefined ? this.attach(file) : { file, path: file };
  }

  /** Attaches a loop device, the first or another one, to a file. */
  async attach(file: string): Promise<Disk> {
    this.#options.signal.throwIfAborted();
    const path = await runTool(['losetup', '--find', '--show', file]);
    try {
      this.#loopDescriptors.push(openSync(path, 'r'));
    } finally {
      // In use: detached when its last user, which we are, has closed it. Else: detached at once.
      await runTool(['losetup', '--detach', path]);
    }
    const { rdev } = statSync(path);
    return { file, path, number: { major: majorOf(rdev), minor: minorOf(rdev) } };
  }

  /** Starts a daemon. It does not wait for anything that the daemon says. */
  start(options: StartOptions): DaemonProcess {
    const { clock, signal } = this.#options;
    signal.throwIfAborted();
    const [program, ...args] = this.#commandOf(options);
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: toolEnvironment(),
      // Ctrl-C at the terminal is for the lab, which ends its daemons itself.
      detached: true,
    });
    const daemon = new DaemonProcess({ name: options.name, child, clock, signal });
    this.#daemons.push(daemon);
    return daemon;
  }

  /** Ends every daemon, detaches every disk, removes the directory. Idempotent. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await Promise.all(this.#daemons.map((daemon) => daemon.killAndForget()));
    for (const descriptor of this.#loopDescriptors) closeSync(descriptor);
    rmSync(this.directory, { recursive: true, force: true });
  }

  #commandOf(options: StartOptions): CommandLine {
    const extension = extname(import.meta.filename);
    const entry = fileURLToPath(new URL(`./${options.entry}${extension}`, import.meta.url));
    const daemon: CommandLine = [process.execPath, entry, JSON.stringify(options.arguments)];
    const inside =
      options.container === undefined ? daemon : containerCommand(options.container, daemon);
    if (this.abilities.deathSignal !== undefined) return inside;
    return ['setpriv', '--pdeathsig', 'KILL', ...inside];
  }
}
