/**
 * Ticks for a time axis in UTC: from milliseconds to centuries, at times that people would choose. Pure.
 */

/** One tick: where, what stands at it, and below that the date where it is new. */
export interface TimeTick {
  readonly wallMs: number;
  readonly label: string;
  /** Empty where it says the same as at the tick before. */
  readonly context: string;
}

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Steps of even length. */
const EVEN_STEPS_MS: readonly number[] = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500],
  ...[1, 2, 5, 10, 15, 30].map((seconds) => seconds * SECOND_MS),
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * MINUTE_MS),
  ...[1, 2, 3, 6, 12].map((hours) => hours * HOUR_MS),
  ...[1, 2, 7, 14].map((days) => days * DAY_MS),
];

/** Steps of months and years, which are not of even length; in months. */
const MONTH_STEPS: readonly number[] = [
  ...[1, 3, 6],
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000].map(
    (years) => years * 12,
  ),
];

const MONTHS: readonly string[] = [
  ...['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun'],
  ...['Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'],
];

/** Ticks within `[fromMs, toMs]`, at most `countMax` of them, a few at least where the span allows. */
export function timeTicks(fromMs: number, toMs: number, countMax: number): readonly TimeTick[] {
  const stepMs = EVEN_STEPS_MS.find((step) => (toMs - fromMs) / step < countMax);
  const [times, label] =
    stepMs === undefined ? monthTimes(fromMs, toMs, countMax) : evenTimes(fromMs, toMs, stepMs);
  let last = '';
  return times.map((wallMs) => {
    const { main, context } = label(new Date(wallMs));
    const isNew = context !== last;
    last = context;
    return { wallMs, label: main, context: isNew ? context : '' };
  });
}

type Label = (time: Date) => { readonly main: string; readonly context: string };

function evenTimes(fromMs: number, toMs: number, stepMs: number): readonly [number[], Label] {
  const times: number[] = [];
  // Weeks begin anywhere; it is the even distance that counts.
  for (let at = Math.ceil(fromMs / stepMs) * stepMs; at <= toMs; at += stepMs) times.push(at);
  if (stepMs >= DAY_MS) return [times, dayLabel];
  return [times, (time) => ({ main: clock(time, stepMs), context: dateOf(time) })];
}

function monthTimes(fromMs: number, toMs: number, countMax: number): readonly [number[], Label] {
  const month = (wallMs: number): number => {
    const time = new Date(wallMs);
    return time.getUTCFullYear() * 12 + time.getUTCMonth();
  };
  const [first, last] = [month(fromMs), month(toMs)];
  const step = MONTH_STEPS.find((months) => (last - first) / months < countMax - 1) ?? 600_000;
  const times: number[] = [];
  for (let at = Math.ceil(first / step) * step; at <= last; at += step) {
    const wallMs = monthStartMs(at);
    if (wallMs >= fromMs && wallMs <= toMs) times.push(wallMs);
  }
  return [times, step < 12 ? monthLabel : yearLabel];
}

/** `Date.UTC` takes years below 100 for those of the last century. */
function monthStartMs(month: number): number {
  return new Date(0).setUTCFullYear(Math.floor(month / 12), month % 12, 1);
}

function clock(time: Date, stepMs: number): string {
  const text = time.toISOString();
  if (stepMs < SECOND_MS) return text.slice(11, 23);
  return stepMs < MINUTE_MS ? text.slice(11, 19) : text.slice(11, 16);
}

function dateOf(time: Date): string {
  return `${time.getUTCDate()} ${MONTHS[time.getUTCMonth()] ?? ''} ${time.getUTCFullYear()}`;
}

const dayLabel: Label = (time) => ({
  main: `${time.getUTCDate()} ${MONTHS[time.getUTCMonth()] ?? ''}`,
  context: String(time.getUTCFullYear()),
});

const monthLabel: Label = (time) => ({
  main: MONTHS[time.getUTCMonth()] ?? '',
  context: String(time.getUTCFullYear()),
});

const yearLabel: Label = (time) => ({ main: String(time.getUTCFullYear()), context: '' });
