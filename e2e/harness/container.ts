/**
 * Containers of `runc`, made from what this machine has: busybox, the Node binary with its libraries,
 * and this checkout. Nothing is pulled from anywhere. Needs root.
 *
 * Each container has mount, pid, network, ipc and host name namespaces of its own, a root file system
 * that is mounted read-only, an empty data directory in memory (the `emptyDir` of Kubernetes), and
 * no more device nodes than it is given. It sees its run directory at the path that this has outside, so
 * that the log and the ready file can be read. Its network is its own loopback; a port in there is
 * reached from here as `kubectl port-forward` does it: by a process that enters the namespace.
 *
 * Source: the OCI runtime specification 1.0.2, config.md and config-linux.md.
 */
import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { deviceNumber } from './kernel-objects.ts';
import type { Place, ReadyFile } from './place.ts';
import { tryCommand } from './run-command.ts';

const checkout = join(import.meta.dirname, '..', '..');
const BUSYBOX = '/bin/busybox';
const DEVICE = '/dev/disk';
const VOLUME = '/volume';
const APPLETS = ['sh', 'cat', 'ls'];

/** Why containers cannot be run here; undefined where they can. */
export function whyNoContainers(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  for (const [program, word] of [
    ['runc', '--version'],
    [BUSYBOX, 'true'],
    ['nsenter', '--version'],
  ] as const) {
    try {
      execFileSync(program, [word], { stdio: 'ignore' });
    } catch {
      return `needs ${program} (see e2e/install-clients.sh)`;
    }
  }
  return undefined;
}

/** A root file system that any number of containers share, read-only. */
export function makeRootFileSystem(directory: string): string {
  for (const path of [
    'bin',
    'lib',
    'lib64',
    'dev',
    'proc',
    'sys',
    'tmp',
    'etc',
    'dozo',
    'data',
    'volume',
  ]) {
    mkdirSync(join(directory, path), { recursive: true });
  }
  cpSync(BUSYBOX, join(directory, 'bin', 'busybox'));
  chmodSync(join(directory, 'bin', 'busybox'), 0o755);
  for (const applet of APPLETS) symlinkSync('busybox', join(directory, 'bin', applet));
  const node = realpathSync(process.execPath);
  cpSync(node, join(directory, 'bin', 'node'));
  for (const library of librariesOf(node)) {
    const path = join(directory, library);
    mkdirSync(dirname(path), { recursive: true });
    cpSync(realpathSync(library), path);
  }
  return directory;
}

/** Paths of the shared libraries that a binary is linked to, the loader among them. */
function librariesOf(binary: string): string[] {
  const listed = execFileSync('ldd', [binary], { encoding: 'utf8' });
  return [...listed.matchAll(/(\/\S+) \(0x/g)].flatMap(([, path]) => path ?? []);
}

export interface ContainerOptions {
  /** Unique on this machine. */
  readonly name: string;
  readonly rootFileSystem: string;
  /** Of this container alone: its configuration, and what the test reads of it. */
  readonly bundle: string;
  /** Where the log and the ready file of the daemon lie: at the same path inside. */
  readonly runDirectory: string;
  /** A block device of this machine that becomes `/dev/disk` inside: a device node of its own. */
  readonly device?: string;
  /** A directory of this machine that becomes `/volume` inside, as a `hostPath` does. */
  readonly volume?: string;
}

/** A container that runs one daemon. */
export class Container implements Place {
  readonly #options: ContainerOptions;
  #endForwarding: () => void = () => undefined;

  constructor(options: ContainerOptions) {
    this.#options = options;
  }

  /** Where the daemon keeps its data directory: in memory, and gone with the container. */
  static readonly dataDirectory = '/data/dozo';

  /** What its host name and its Pod name are. */
  get name(): string {
    return this.#options.name;
  }

  /** The path inside of the device, or of the file `disk` in the volume. */
  get disk(): string {
    return this.#options.device === undefined ? `${VOLUME}/disk` : DEVICE;
  }

  commandLine(
    command: readonly string[],
    environment: Readonly<Record<string, string>>,
  ): readonly string[] {
    const { bundle, name } = this.#options;
    mkdirSync(bundle, { recursive: true });
    const inside = command.map((word) => this.#insidePath(word));
    const configuration = this.#configuration(inside, environment);
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(configuration, undefined, 2));
    return ['runc', 'run', '--bundle', bundle, '--pid-file', this.#pidFile, name];
  }

  /** The runtime does not return before the container has ended, with its exit status. */
  async reach(ready: ReadyFile): Promise<ReadyFile> {
    const pid = Number(readFileSync(this.#pidFile, 'utf8'));
    const [endpoint = '', healthEndpoint = ''] = await this.#forward(pid, [
      ready.endpoint,
      ready.healthEndpoint,
    ]);
    return { pid, endpoint, healthEndpoint };
  }

  /** The freezer of the container's cgroup: every process of it stops where it is. */
  async freeze(): Promise<void> {
    await tryCommand('runc', ['pause', this.#options.name]);
  }

  async thaw(): Promise<void> {
    await tryCommand('runc', ['resume', this.#options.name]);
  }

  /** Whatever is left of it goes. */
  async remove(): Promise<void> {
    this.#endForwarding();
    await tryCommand('runc', ['delete', '--force', this.#options.name]);
  }

  get #pidFile(): string {
    return join(this.#options.bundle, 'pid');
  }

  #insidePath(word: string): string {
    if (word === process.execPath) return '/bin/node';
    return word.startsWith(`${checkout}/packages/`) ? word.replace(checkout, '/dozo') : word;
  }

  /** One process for both ports. @returns the addresses here. */
  async #forward(pid: number, endpoints: readonly string[]): Promise<string[]> {
    this.#endForwarding();
    const directory = mkdtempSync(join(tmpdir(), 'dozo-forward-'));
    const paths = endpoints.map((_, index) => join(directory, String(index)));
    const words = endpoints.flatMap((endpoint, index) => {
      const { hostname, port } = new URL(endpoint);
      return [paths[index] ?? '', hostname, port];
    });
    const program = [process.execPath, join(import.meta.dirname, 'port-forward.ts'), ...words];
    const enter = ['--target', String(pid), '--net', '--', ...program];
    const forwarder = spawn('nsenter', enter, { stdio: ['pipe', 'ignore', 'inherit'] });
    const servers: Server[] = [];
    this.#endForwarding = () => {
      forwarder.stdin.end();
      for (const server of servers) server.close();
      rmSync(directory, { recursive: true, force: true });
    };
    while (!paths.every((path) => existsSync(path))) {
      if (forwarder.exitCode !== null) throw new Error(`The ports of ${this.name} stay closed.`);
      await sleep(10);
    }
    return Promise.all(
      paths.map(async (path) => {
        const server = await forwardTo(path);
        servers.push(server);
        return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      }),
    );
  }

  #configuration(args: readonly string[], environment: Readonly<Record<string, string>>): object {
    const { name, rootFileSystem, runDirectory, device, volume } = this.#options;
    const variables = { PATH: '/bin', POD_NAME: name, POD_UID: `uid-of-${name}`, ...environment };
    const node = device === undefined ? undefined : { type: 'b', ...deviceNumber(device) };
    const allowed = node === undefined ? [] : [{ allow: true, ...node, access: 'rwm' }];
    return {
      ociVersion: '1.0.2',
      hostname: name,
      root: { path: rootFileSystem, readonly: true },
      process: {
        ...{ terminal: false, user: { uid: 0, gid: 0 }, args, cwd: '/', noNewPrivileges: true },
        env: Object.entries(variables).map(([key, value]) => `${key}=${value}`),
        capabilities: { bounding: [], effective: [], permitted: [] },
      },
      mounts: [
        mount('/proc', 'proc', 'proc', ['nosuid', 'noexec', 'nodev']),
        mount('/dev', 'tmpfs', 'tmpfs', ['nosuid', 'strictatime', 'mode=755', 'size=65536k']),
        mount('/tmp', 'tmpfs', 'tmpfs', ['nosuid', 'nodev', 'mode=1777']),
        mount('/data', 'tmpfs', 'tmpfs', ['nosuid', 'nodev', 'mode=755']),
        mount('/dozo', 'bind', checkout, ['rbind', 'ro']),
        mount(runDirectory, 'bind', runDirectory, ['bind', 'rw']),
        ...(volume === undefined ? [] : [mount(VOLUME, 'bind', volume, ['bind', 'rw'])]),
      ],
      linux: {
        namespaces: ['pid', 'network', 'ipc', 'uts', 'mount'].map((type) => ({ type })),
        devices: node === undefined ? [] : [{ path: DEVICE, fileMode: 0o600, ...node }],
        resources: { devices: [{ allow: false, access: 'rwm' }, ...allowed] },
        cgroupsPath: `/dozo-e2e/${name}`,
      },
    };
  }
}

/** A port of its own here that leads to a socket in the file system. */
async function forwardTo(path: string): Promise<Server> {
  const server = createServer((outside) => {
    const inside = connect(path);
    outside.pipe(inside).pipe(outside);
    outside.on('error', () => outside.destroy()).on('close', () => inside.destroy());
    inside.on('error', () => inside.destroy()).on('close', () => outside.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

function mount(
  destination: string,
  type: string,
  source: string,
  options: readonly string[],
): object {
  return { destination, type, source, options };
}
