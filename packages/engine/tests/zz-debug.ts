import { newWorld, formattedMedium, openOn, bytes, KIB } from './simulated-engine.ts';
const big = newWorld('scan');
const { engine } = await openOn(big, await formattedMedium(big));
const keyOf = (index: number): Uint8Array => bytes(`k${String(index).padStart(4, '0')}`);
let done = 0;
setTimeout(() => { console.log('stuck at', done, engine.stats()); process.exit(1); }, 3000);
for (let index = 0; index < 700; index += 7) {
  await engine.apply(Array.from({length: 7}, (_, o) => ({ kind: 'put' as const, key: keyOf(index + o), value: big.random.bytes((index+o) % 90) })));
  done = index;
}
console.log('written', engine.stats());
let rows = 0;
for await (const row of engine.scan({ from: keyOf(10), to: keyOf(690) })) { rows++; if (rows===3) await engine.apply([{kind:'delete', key: keyOf(400)}]); }
console.log(rows);
process.exit(0);
