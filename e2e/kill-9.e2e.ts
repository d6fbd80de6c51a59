/**
 * SIGKILL in the middle of an upload storm, again and again.
 *
 * After each restart every acknowledged object is there, byte for byte, nothing unacknowledged is
 * half there, and the listing agrees with HEAD. In some rounds the restart itself is killed too.
 */
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DozoServer } from './harness/dozo-server.ts';
import { drawSeed, scale } from './harness/scale.ts';
import { Scratch } from './harness/scratch.ts';
import { sdkClient } from './harness/sdk-client.ts';
import { SeededDraw } from './harness/seeded-draw.ts';
import { UploadStorm } from './harness/upload-storm.ts';

const bucket = 'storm';
/** On average; a storm that never got anything through would have proved nothing. */
const WRITES_PER_ROUND_MIN = 20;
/** How much longer a storm may rage to get that many through. */
const STORM_MS_MAX = 5_000;
const scratch = new Scratch('kill-9');
const seed = drawSeed('kill-9');
const draw = new SeededDraw(seed);
const storm = new UploadStorm({ bucket, seed, draw });
let server: DozoServer;

beforeAll(async () => {
  server = await DozoServer.start({ dataDirectory: scratch.directory('data'), size: '8GiB' });
  const client = sdkClient(server);
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  client.destroy();
});

afterAll(async () => {
  expect(await server.stop()).toBe(0);
  scratch.remove();
});

test(`${scale.killRounds} times nothing acknowledged is lost and nothing is half there`, async () => {
  for (let round = 1; round <= scale.killRounds; round += 1) {
    const raging = sdkClient(server);
    const over = storm.rage(raging);
    await sleep(draw.integer(20, 1_500));
    // On a machine that is busy with others as well, a storm needs longer; one that gets nothing through
    // is not waited for, and fails at the end.
    const deadlineMs = Date.now() + STORM_MS_MAX;
    const isWeak = (): boolean => storm.acknowledgedCount <= round * WRITES_PER_ROUND_MIN;
    while (isWeak() && !storm.isOver && Date.now() < deadlineMs) await sleep(10);
    await server.kill();
    storm.end();
    await over;
    raging.destroy();
    if (draw.fraction() < 0.2) await server.startAndKill(draw.integer(50, 1_000));
    await server.start();
    const client = sdkClient(server);
    const wrong = await storm.inspect(client, round % 10 === 0 ? 'all' : 'touched');
    expect(wrong, `round ${round} of seed ${seed}`).toEqual([]);
    client.destroy();
  }
  console.log(
    `kill-9: ${scale.killRounds} rounds, ${storm.acknowledgedCount} writes acknowledged, ` +
      `${storm.unansweredCount} cut off`,
  );
  expect(storm.acknowledgedCount).toBeGreaterThan(scale.killRounds * WRITES_PER_ROUND_MIN);
  expect(storm.unansweredCount).toBeGreaterThan(scale.killRounds);
});
