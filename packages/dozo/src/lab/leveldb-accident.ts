/**
 * The same with a store that half the world runs on: LevelDB, whose LOCK file was made private.
 *
 * In a container another file is mounted over LOCK; without containers B's start script removes the
 * "stale" LOCK first, as many do. Either way two processes hold a lock on two files.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';

import type { ContainerPlan } from './container.ts';
import type { DaemonProcess } from './daemon-process.ts';
import { describeAudit } from './lab-report.ts';
import type { AccidentSeen, NotPlayed } from './lab-report.ts';
import type { LevelDaemonArguments } from './leveldb-daemon.ts';
import { levelMessage, loadLevelDb, openLevelStore } from './leveldb-store.ts';
import { LEVELDB_RECORD_BYTES, RECORDS_AFTER, RECORDS_ALONE, RECORDS_TOGETHER } from './limits.ts';
import { auditRecords, expectedOf, keysOf } from './records.ts';
import type { Audit, ExpectedRecord } from './records.ts';
import type { Scene } from './scene.ts';
import { tellStart } from './stage.ts';
import type { Stage } from './stage.ts';

/** Plays it, where LevelDB is installed. Rejects with `LAB_FAILED`. */
export async function playLevelDbAccident(stage: Stage): Promise<AccidentSeen | NotPlayed> {
  if ((await loadLevelDb()) === undefined) {
    const reason = 'LevelDB is not installed (npm install classic-level)';
    stage.story.say(`Not played: ${reason}.`);
    return { outcome: 'not played', reason };
  }
  return stage.inScene('leveldb', (scene) => new LevelDbAccident(stage, scene).play());
}

class LevelDbAccident {
  readonly #stage: Stage;
  readonly #scene: Scene;
  readonly #directory: string;

  constructor(stage: Stage, scene: Scene) {
    this.#stage = stage;
    this.#scene = scene;
    this.#directory = scene.makeDirectory('database');
  }

  async play(): Promise<AccidentSeen> {
    const { story } = this.#stage;
    story.say(
      'A real store that thousands of programs carry in them: LevelDB, every write flushed (sync). It locks the file LOCK in its directory.',
    );
    story.tell('disk', this.#directory);
    await this.#playPlainRefusal();
    const first = await this.#startAlone('daemon A', 'a');
    await first.waitForAcknowledged(RECORDS_ALONE);
    first.send('SIGTERM');
    await first.waitFor('terminating');
    const countBefore = first.acknowledgedCount;
    story.tell('', 'A is told to end (SIGTERM), and still has clients.');
    const second = await this.#startAlone('daemon B', 'b');
    await second.waitForAcknowledged(RECORDS_TOGETHER);
    const firstCount = first.acknowledgedCount;
    const firstEnd = first.reported('ended');
    await first.kill();
    story.tell(
      '',
      firstEnd === undefined
        ? `A is killed. It has acknowledged ${firstCount} writes, B ${second.acknowledgedCount}, without an error.`
        : `A has ended by itself after ${firstCount} writes: ${firstEnd.message}`,
    );
    await this.#finish(second);
    return this.#judge(first, second, countBefore);
  }

  /** The control: without containers LevelDB refuses a second process. */
  async #playPlainRefusal(): Promise<void> {
    const { story } = this.#stage;
    const first = this.#start('daemon A', 'never-a');
    const { lock } = await first.waitFor('started');
    tellStart(story, first, `opens it and locks ${lock}.`);
    const second = this.#start('daemon B', 'never-b');
    const { message } = await second.waitFor('refused');
    tellStart(story, second, `is refused: ${message}`);
    await first.stop();
  }

  /** Some more records for the second, unless it falls over what the first has done to it. */
  async #finish(second: DaemonProcess): Promise<void> {
    const wanted = second.acknowledgedCount + RECORDS_AFTER;
    try {
      await second.waitForAcknowledged(wanted);
      await second.stop();
    } catch (error) {
      if (!second.isGone) throw error;
    }
    const end = second.reported('ended');
    if (end !== undefined) this.#stage.story.tell(second.name, `has failed: ${end.message}`);
  }

  async #judge(
    first: DaemonProcess,
    second: DaemonProcess,
    countBefore: number,
  ): Promise<AccidentSeen> {
    const { story } = this.#stage;
    const all = [...expectedOf(first.acknowledged), ...expectedOf(second.acknowledged)];
    const earlyKeys = keysOf(first.acknowledged.slice(0, countBefore));
    const early = expectedOf(first.acknowledged, countBefore).filter(({ key }) =>
      earlyKeys.has(key),
    );
    const found = await this.#audit(all);
    story.tell('disk', `Of all that was acknowledged: ${describeAudit(found.audit)}.`);
    if (found.complaint !== undefined) story.tell('', `LevelDB says: ${found.complaint}`);
    const auditBefore = (await this.#audit(early)).audit;
    story.tell('', `Of what was there before B was even started: ${describeAudit(auditBefore)}.`);
    return {
      outcome: found.audit.intactCount === found.audit.expectedCount ? 'intact' : 'destroyed',
      second: `held its own LOCK, acknowledged ${second.acknowledgedCount} writes`,
      first: `held its own LOCK, acknowledged ${first.acknowledgedCount} writes`,
      data: describeAudit(found.audit),
      audit: found.audit,
      auditBefore,
    };
  }

  /** What a program that opens it now would read; and the first complaint of LevelDB. */
  async #audit(
    expected: readonly ExpectedRecord[],
  ): Promise<{ readonly audit: Audit; readonly complaint: string | undefined }> {
    let complaint: string | undefined;
    let store: Awaited<ReturnType<typeof openLevelStore>> | undefined;
    try {
      store = await openLevelStore(this.#directory);
    } catch (error) {
      complaint = levelMessage(error);
    }
    const audit = await auditRecords(expected, LEVELDB_RECORD_BYTES, async (key) => {
      try {
        return (await store?.get(key)) ?? (store === undefined ? 'unreadable' : 'absent');
      } catch (error) {
        complaint ??= levelMessage(error);
        return 'unreadable';
      }
    });
    await store?.close();
    return { audit, complaint };
  }

  /** Starts one that has a LOCK of its own. */
  async #startAlone(name: string, prefix: string): Promise<DaemonProcess> {
    const path = join(this.#directory, 'LOCK');
    let container: ContainerPlan | undefined;
    let place = 'in a container with a LOCK of its own';
    if (this.#scene.abilities.containers === undefined) {
      const privateDirectory = this.#scene.makeDirectory(`run-${prefix}`);
      container = { privateDirectory, privateFiles: [path] };
    } else {
      rmSync(path, { force: true });
      place = 'after its start script has removed the "stale" LOCK';
    }
    const daemon = this.#start(name, prefix, container);
    const { lock } = await daemon.waitFor('started');
    tellStart(this.#stage.story, daemon, `${place}, locks ${lock} and serves.`);
    return daemon;
  }

  #start(name: string, prefix: string, container?: ContainerPlan): DaemonProcess {
    const options: LevelDaemonArguments = { prefix, directory: this.#directory };
    return this.#scene.start({ name, entry: 'leveldb-daemon', arguments: options, container });
  }
}
