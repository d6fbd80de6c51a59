/** What every Compute must do. */
import { AssertionError } from '../assert.ts';
import { equalBytes } from '../bytes.ts';
import type { Compute, ComputeErrorDetail } from '../compute.ts';
import { hasCode } from '../errors.ts';
import { SeededRandom } from '../seeded-random.ts';
import { incrementTask, sumTask, throwTask } from './compute-tasks.ts';
import { demand, demandRejection } from './contract.ts';
import type { ContractCase } from './contract.ts';

/** The contract of {@link Compute}; each case gets one of its own, which it closes. */
export function computeContract(make: () => Compute): readonly ContractCase[] {
  const on = (name: string, check: (compute: Compute) => Promise<void>): ContractCase => ({
    name,
    run: async () => {
      const compute = make();
      try {
        await check(compute);
      } finally {
        await compute.close();
      }
    },
  });
  return [
    on('a task gets its input and its output comes back', async (compute) => {
      const output = await compute.run(sumTask, { numbers: [1, 2, 0.5], note: 'ü' });
      demand(output.sum === 3.5, 'the sum is right');
      demand(output.note === 'ü', 'text passes');
      const plain = await compute.run(sumTask, { numbers: [], note: undefined });
      demand(plain.sum === 0 && !('note' in plain), 'absent fields stay absent');
    }),
    on('bytes come back whole, also those of a part of a buffer', async (compute) => {
      const random = new SeededRandom(1);
      for (const sizeBytes of [0, 1, 4096, 1_000_000]) {
        const bytes = new Uint8Array(random.bytes(sizeBytes + 7)).subarray(3, 3 + sizeBytes);
        const expected = bytes.map((byte) => byte + 1);
        const output = await compute.run(incrementTask, { bytes });
        demand(equalBytes(output, expected), `${sizeBytes} bytes are as computed`);
      }
    }),
    on('many tasks may be under way, and each gets its own result', async (compute) => {
      const runs = Array.from({ length: 32 }, (_, index) =>
        compute.run(sumTask, { numbers: [index, 1], note: undefined }),
      );
      const sums = (await Promise.all(runs)).map(({ sum }) => sum);
      demand(
        sums.every((sum, index) => sum === index + 1),
        'no result is mixed up with another',
      );
    }),
    on('what a task throws is an error of its caller, and the next task runs', throwsToCaller),
    on('closing settles everything, may be repeated, and ends it', closes),
  ];
}

async function throwsToCaller(compute: Compute): Promise<void> {
  for (const kind of ['error', 'text'] as const) {
    const failed = demandRejection(compute.run(throwTask, { kind }), 'COMPUTE_TASK_FAILED');
    const detail = (await failed) as ComputeErrorDetail;
    demand(
      detail.code === 'COMPUTE_TASK_FAILED' && detail.task === 'throwTask',
      'it names the task',
    );
    demand(detail.reason === 'the task throws', 'it says what the task said');
  }
  let outcome: unknown;
  try {
    await compute.run(throwTask, { kind: 'assertion' });
  } catch (error) {
    outcome = error;
  }
  demand(outcome instanceof AssertionError, 'an assertion stays one');
  demand(outcome.message === 'the task asserts', 'with its message');
  const unknown = { ...sumTask, name: 'noSuchTask', run: throwMissing };
  await demandRejection(compute.run(unknown, undefined as never), 'COMPUTE_TASK_FAILED');
  const { sum } = await compute.run(sumTask, { numbers: [2, 2], note: undefined });
  demand(sum === 4, 'the next task is none the worse');
}

/** A task that is not where it says: whoever looks for it fails, and whoever does not gets this. */
function throwMissing(): never {
  throw new Error('it is not there');
}

async function closes(compute: Compute): Promise<void> {
  const runs = Array.from({ length: 8 }, () =>
    compute.run(sumTask, { numbers: [1], note: undefined }),
  );
  const settled = Promise.allSettled(runs);
  await Promise.all([compute.close(), compute.close()]);
  for (const outcome of await settled) {
    const isRight =
      outcome.status === 'fulfilled'
        ? outcome.value.sum === 1
        : hasCode(outcome.reason, 'COMPUTE_CLOSED');
    demand(isRight, 'each task has its result or COMPUTE_CLOSED');
  }
  await demandRejection(compute.run(sumTask, { numbers: [], note: undefined }), 'COMPUTE_CLOSED');
  await compute.close();
}
