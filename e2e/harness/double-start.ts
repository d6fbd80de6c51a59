/**
 * The choreography of a double start: a first daemon under load comes into some state, a second one is
 * started on what may be the same data, and what becomes of both is put into the words of
 * `docs/operations/exclusion.md`.
 *
 * The words are made from what was seen, never from what was expected. Everything that either daemon
 * has acknowledged is asked for at the end; that is checked beside the words.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { DozoServer, type Refusal, type ServerOptions } from './dozo-server.ts';
import { ObjectLedger } from './object-ledger.ts';

/** What becomes of the first daemon before and after the second one is started. */
export interface FirstState {
  readonly before: (first: DozoServer) => Promise<void> | void;
  /** Lets the first go on once the second one is refused or serves. */
  readonly after?: (first: DozoServer) => Promise<void> | void;
}

export interface DoubleStart {
  readonly first: ServerOptions;
  readonly second: ServerOptions;
  readonly state: FirstState;
  /** Of the device, in ms: a takeover after the lease must have taken at least so long. */
  readonly leaseMs: number;
}

export interface DoubleStartResult {
  /** In the words of the page. */
  readonly outcome: string;
  /** What the second one said when it was refused. */
  readonly words: string;
  /** How long the second one took until it served or was refused. For a report, not for a verdict. */
  readonly secondMs: number;
  /** Acknowledged objects that are not there, or not whole, when all is over. Must be empty. */
  readonly lost: readonly string[];
  readonly acknowledgedCount: number;
  /** Exit status of the last clean stop. */
  readonly lastStatus: number | null;
}

const EXIT_DEVICE_HELD = 3;
const EXIT_FENCED = 9;
/** What a daemon logs that cannot know at once whether the last holder is dead. */
const WATCHING = 'looking whether the last holder of the device still lives';
const WRITES_EACH = 8;
const END_STEPS_MAX = 3_000;
const END_STEP_MS = 10;

/** Plays it. Every process that it has started is gone when it resolves or rejects. */
export async function playDoubleStart(play: DoubleStart): Promise<DoubleStartResult> {
  const firstLedger = new ObjectLedger('first');
  const secondLedger = new ObjectLedger('second');
  const first = await DozoServer.start(play.first);
  let second: DozoServer | Refusal | undefined;
  try {
    await firstLedger.begin(first);
    await firstLedger.write(first, WRITES_EACH);
    firstLedger.beginLoad(first);
    await sleep(100);
    await play.state.before(first);
    const startMs = performance.now();
    second = await DozoServer.tryStart(play.second);
    const secondMs = performance.now() - startMs;
    let outcome = await nameSecond(second, { secondMs, leaseMs: play.leaseMs, firstLedger });
    if (second instanceof DozoServer) {
      await secondLedger.begin(second);
      await secondLedger.write(second, WRITES_EACH);
    }
    if (play.state.after !== undefined) {
      await play.state.after(first);
      const afterwards = await nameFirst(first, firstLedger);
      if (outcome !== 'apart') outcome += `, the first ${afterwards}`;
    }
    const isApart = outcome === 'apart';
    const ended = await endBoth({ first, second, firstLedger, secondLedger, isApart });
    return {
      ...{ outcome, secondMs, ...ended },
      words: second instanceof DozoServer ? '' : second.words,
      acknowledgedCount: firstLedger.acknowledgedCount + secondLedger.acknowledgedCount,
    };
  } finally {
    if (first.isRunning) {
      // Frozen by its container, it would not even die.
      await play.state.after?.(first);
      await first.kill();
    }
    if (second instanceof DozoServer && second.isRunning) await second.kill();
    await firstLedger.endLoad();
  }
}

async function nameSecond(
  second: DozoServer | Refusal,
  seen: { secondMs: number; leaseMs: number; firstLedger: ObjectLedger },
): Promise<string> {
  if (!(second instanceof DozoServer)) {
    if (second.status !== EXIT_DEVICE_HELD) return `ends with ${second.status ?? 'a signal'}`;
    return second.words.includes('CLAIM_HELD') ? 'refused by the lease' : 'refused by the kernel';
  }
  const { firstLedger } = seen;
  if (await firstLedger.isUnknownTo(second)) return 'apart';
  const missing = await firstLedger.missingOn(second);
  if (missing.length > 0) return `serves without ${missing.length} objects`;
  if (!second.words().includes(WATCHING)) return 'takes over at once';
  // It says that it watched; then it must have done so for as long as the first one may have held.
  return seen.secondMs < seen.leaseMs ? 'takes over too early' : 'takes over after the lease';
}

async function nameFirst(first: DozoServer, ledger: ObjectLedger): Promise<string> {
  for (let step = 0; step < END_STEPS_MAX; step += 1) {
    if (!first.isRunning) {
      const status = await first.ownEnd();
      return status === EXIT_FENCED ? 'is fenced' : `ends with ${status ?? 'a signal'}`;
    }
    if (await ledger.writeOne(first)) return 'goes on';
    await sleep(END_STEP_MS);
  }
  return 'neither serves nor ends';
}

/** Ends both, starts the last one that served once more, and asks it for all that was acknowledged. */
async function endBoth(of: {
  readonly first: DozoServer;
  readonly second: DozoServer | Refusal;
  readonly firstLedger: ObjectLedger;
  readonly secondLedger: ObjectLedger;
  readonly isApart: boolean;
}): Promise<Pick<DoubleStartResult, 'lost' | 'lastStatus'>> {
  const { first, second, firstLedger, secondLedger, isApart } = of;
  if (isApart && second instanceof DozoServer) {
    const lost = await secondLedger.missingOn(second);
    return { lost, lastStatus: await second.stop() };
  }
  // One that is stopped has been so all the time: nothing of it may come any more.
  if (first.isSuspended) await first.kill();
  await firstLedger.endLoad();
  const last = second instanceof DozoServer ? second : first;
  if (last.isRunning) await last.stop();
  await last.start();
  const lost = [...(await firstLedger.missingOn(last)), ...(await secondLedger.missingOn(last))];
  return { lost, lastStatus: await last.stop() };
}
