/**
 * Explores the model of the claim: every interleaving of single-block reads and writes of a few
 * claimants, with the product's own code deciding. Prints one line for each run.
 *
 *     npm run check:claim-model
 */
import { explore } from '../packages/claim/tests/model/explore.ts';
import type { Verdict } from '../packages/claim/tests/model/explore.ts';
import type { ModelConfig } from '../packages/claim/tests/model/model-config.ts';
import { OMISSION_RUNS, SOUND_RUNS } from '../packages/claim/tests/model/runs.ts';

let stateCount = 0;
let failureCount = 0;

function run(name: string, config: ModelConfig, isSound: boolean): void {
  const startMs = performance.now();
  const verdict = explore(config);
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  stateCount += verdict.states;
  const isAsExpected = (verdict.breach === undefined) === isSound && !verdict.isCutOff;
  if (!isAsExpected) failureCount++;
  const found = verdict.breach?.rule ?? (verdict.isCutOff ? 'cut off' : 'holds');
  const columns = [name.padEnd(66), String(config.claimants), String(verdict.states).padStart(10)];
  const outcome = isAsExpected ? found : `NOT AS EXPECTED: ${found}`;
  console.log([...columns, `${seconds} s`.padStart(9), ` ${outcome}`].join(' '));
  if (!isAsExpected) printTrace(verdict);
}

function printTrace({ breach }: Verdict): void {
  for (const line of breach?.trace ?? []) console.log(`    ${line}`);
}

console.log(`${'what'.padEnd(64)} claimants  states      time  verdict`);
for (const { name, config } of SOUND_RUNS) run(name, config, true);
for (const config of OMISSION_RUNS) run(`left out: ${config.without}`, config, false);
const memoryMiB = Math.round(process.memoryUsage.rss() / 2 ** 20);
console.log(`${stateCount} states explored, at most ${memoryMiB} MiB at the end`);
if (failureCount > 0) process.exitCode = 1;
