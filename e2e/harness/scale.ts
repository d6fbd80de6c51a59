/** How big an end-to-end run is: minutes for every change, or the long form before a release. */

const MIB = 1024 * 1024;

interface Scale {
  /** Rounds of storm, SIGKILL and inspection. */
  readonly killRounds: number;
  /** Rounds of a holder that is stopped, taken over and continued. */
  readonly zombieRounds: number;
  /** The object whose upload must take no more memory than one of 50 MiB. */
  readonly largeUploadBytes: number;
  /** What aws stores as one multipart upload. */
  readonly multipartBytes: number;
  /** Files of this repository's `node_modules` that each client synchronises. */
  readonly treeFiles: {
    readonly aws: number;
    readonly s3cmd: number;
    readonly rclone: number;
    readonly restic: number;
  };
  readonly connectionCount: number;
}

const everyChange: Scale = {
  killRounds: Number(process.env['DOZO_E2E_KILL_ROUNDS'] ?? 25),
  zombieRounds: Number(process.env['DOZO_ZOMBIE_ROUNDS'] ?? 6),
  largeUploadBytes: 1024 * MIB,
  multipartBytes: 512 * MIB,
  treeFiles: { aws: 2_000, s3cmd: 600, rclone: 4_000, restic: 4_000 },
  connectionCount: 10_000,
};

const long: Scale = {
  killRounds: 500,
  zombieRounds: Number(process.env['DOZO_ZOMBIE_ROUNDS'] ?? 300),
  largeUploadBytes: 5 * 1024 * MIB,
  multipartBytes: 5 * 1024 * MIB,
  treeFiles: { aws: 50_000, s3cmd: 5_000, rclone: 50_000, restic: 50_000 },
  connectionCount: 10_000,
};

export const scale: Scale = process.env['DOZO_E2E_LONG'] === '1' ? long : everyChange;

/** The seed of everything that this run draws by lot. Printed, so that a run can be repeated. */
export function drawSeed(name: string): number {
  const given = process.env['DOZO_E2E_SEED'];
  const seed = given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given);
  console.log(`${name}: seed ${seed}; again with DOZO_E2E_SEED=${seed} npm run e2e -- ${name}`);
  return seed;
}
