/**
 * The accident, with a small store of ours: sound alone, locked by the book, destroyed by two daemons
 * of which each holds "the" lock.
 */
import { join } from 'node:path';

import type { ContainerPlan } from './container.ts';
import type { DaemonProcess } from './daemon-process.ts';
import { describeAudit } from './lab-report.ts';
import type { AccidentSeen } from './lab-report.ts';
import {
  NAIVE_DEVICE_BYTES,
  RECORD_BYTES,
  RECORDS_AFTER,
  RECORDS_ALONE,
  RECORDS_TOGETHER,
} from './limits.ts';
import type { NaiveDaemonArguments } from './naive-daemon.ts';
import { formatNaiveStore, NaiveStore } from './naive-store.ts';
import { auditRecords, expectedOf, keysOf } from './records.ts';
import type { Audit, ExpectedRecord } from './records.ts';
import type { Disk, Scene } from './scene.ts';
import { tellDisk, tellStart } from './stage.ts';
import type { Stage } from './stage.ts';

/** Plays it. Rejects with `LAB_FAILED` when something does not go as it must. */
export function playNaiveAccident(stage: Stage): Promise<AccidentSeen> {
  return stage.inScene('naive', async (scene) => {
    stage.story.say(
      'A small store, written for this lab: it locks a file in its run directory, reads the table of its disk, and writes. A record is acknowledged after it was flushed. What is free on the disk it knows from its own memory, as storage daemons do.',
    );
    const disk = await scene.makeDisk('disk', NAIVE_DEVICE_BYTES);
    await formatNaiveStore(disk.path);
    tellDisk(stage.story, disk);
    const accident = new NaiveAccident(stage, scene, disk);
    const alone = await accident.playAlone();
    return accident.playTwice(alone);
  });
}

class NaiveAccident {
  readonly #stage: Stage;
  readonly #scene: Scene;
  readonly #disk: Disk;

  constructor(stage: Stage, scene: Scene, disk: Disk) {
    this.#stage = stage;
    this.#scene = scene;
    this.#disk = disk;
  }

  /** The control: on a plain machine the lock works, and a kill loses nothing. */
  async playAlone(): Promise<ExpectedRecord[]> {
    const { story } = this.#stage;
    const runDirectory = this.#scene.makeDirectory('run');
    const first = this.#start('daemon A', 'plain', runDirectory);
    const { lock } = await first.waitFor('started');
    tellStart(story, first, `locks ${lock} and serves.`);
    const second = this.#start('daemon B', 'never', runDirectory);
    const refused = await second.waitFor('refused');
    tellStart(story, second, `is refused: ${refused.message}`);
    await first.waitForAcknowledged(RECORDS_ALONE);
    await first.kill();
    const expected = expectedOf(first.acknowledged);
    const audit = await this.#audit(expected);
    story.tell(
      '',
      `So far so good. kill -9 of A, then a look at the disk: ${describeAudit(audit)}.`,
    );
    return expected;
  }

  /** The accident. `before` was acknowledged earlier, and nobody means to change it. */
  async playTwice(before: readonly ExpectedRecord[]): Promise<AccidentSeen> {
    const { story } = this.#stage;
    const first = await this.#startContained('daemon A', 'a');
    await first.waitForAcknowledged(RECORDS_ALONE);
    first.send('SIGTERM');
    await first.waitFor('terminating');
    story.tell(
      '',
      'The node is short of memory: A is told to end (SIGTERM), and still has clients.',
    );
    const countBefore = first.acknowledgedCount;
    const second = await this.#startContained('daemon B', 'b');
    story.tell('', 'Both are sure to be alone. Both write.');
    await second.waitForAcknowledged(RECORDS_TOGETHER);
    const firstCount = first.acknowledgedCount;
    await first.kill();
    story.tell(
      '',
      `A's grace is over: kill -9. It has acknowledged ${firstCount} writes, B ${second.acknowledgedCount}.`,
    );
    await second.waitForAcknowledged(second.acknowledgedCount + RECORDS_AFTER);
    await second.stop();
    story.tell('', `B ends by the book. No error was reported by anybody.`);
    const audit = await this.#audit([
      ...before,
      ...expectedOf(first.acknowledged),
      ...expectedOf(second.acknowledged),
    ]);
    // Nobody but A changed these since; a later version of A's is as good.
    const early = keysOf(first.acknowledged.slice(0, countBefore));
    const auditBefore = await this.#audit([
      ...before,
      ...expectedOf(first.acknowledged, countBefore).filter(({ key }) => early.has(key)),
    ]);
    story.tell('disk', `Of all that was acknowledged: ${describeAudit(audit)}.`);
    story.tell('', `Of what was there before B was even started: ${describeAudit(auditBefore)}.`);
    return {
      outcome: audit.intactCount === audit.expectedCount ? 'intact' : 'destroyed',
      second: `held its own lock, acknowledged ${second.acknowledgedCount} writes`,
      first: `held its own lock, acknowledged ${firstCount} writes`,
      data: describeAudit(audit),
      audit,
      auditBefore,
    };
  }

  async #startContained(name: string, prefix: string): Promise<DaemonProcess> {
    const { runDirectory, container } = this.#privateRun(prefix);
    const daemon = this.#start(name, prefix, runDirectory, container);
    const { lock, recordCount } = await daemon.waitFor('started');
    const place = container === undefined ? 'with a run directory of its own' : 'in a container';
    tellStart(
      this.#stage.story,
      daemon,
      `${place}, locks ${lock}, finds ${recordCount} records and serves.`,
    );
    return daemon;
  }

  /** The same path in every container, or, where there are no containers, another one for each. */
  #privateRun(prefix: string): {
    readonly runDirectory: string;
    readonly container: ContainerPlan | undefined;
  } {
    if (this.#scene.abilities.containers !== undefined) {
      return { runDirectory: this.#scene.makeDirectory(`run-${prefix}`), container: undefined };
    }
    const runDirectory = join(this.#scene.directory, 'run');
    return { runDirectory, container: { privateDirectory: runDirectory } };
  }

  #start(
    name: string,
    prefix: string,
    runDirectory: string,
    container?: ContainerPlan,
  ): DaemonProcess {
    const options: NaiveDaemonArguments = {
      prefix,
      devicePath: this.#disk.path,
      deviceBytes: NAIVE_DEVICE_BYTES,
      runDirectory,
    };
    return this.#scene.start({ name, entry: 'naive-daemon', arguments: options, container });
  }

  /** What a daemon that starts now would find. */
  async #audit(expected: readonly ExpectedRecord[]): Promise<Audit> {
    const store = await NaiveStore.open(this.#disk.path, NAIVE_DEVICE_BYTES);
    try {
      return await auditRecords(expected, RECORD_BYTES, (key) => store.get(key));
    } finally {
      await store.close();
    }
  }
}
