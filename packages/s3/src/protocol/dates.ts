/**
 * The three ways in which S3 writes a moment: ISO 8601 with and without punctuation, and HTTP's.
 */

const BASIC = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z$/;
const HTTP_DATE = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? .{8,30}$/;

/** `2026-11-05T08:15:30.000Z`: how documents of S3 name a moment. */
export function isoDate(ms: number): string {
  return new Date(ms).toISOString();
}

/** `Thu, 05 Nov 2026 08:15:30 GMT`: how headers name it. Source: RFC 9110, section 5.6.7. */
export function httpDate(ms: number): string {
  return new Date(ms).toUTCString();
}

/** `20261105T081530Z`: how signatures name it. */
export function basicDate(ms: number): string {
  const iso = new Date(ms).toISOString();
  return `${iso.slice(0, 4)}${iso.slice(5, 7)}${iso.slice(8, 13)}${iso.slice(14, 16)}${iso.slice(17, 19)}Z`;
}

/**
 * The last date that was read. Requests come in bursts that were signed in the same second, and
 * reading a date is as dear as a tenth of checking a signature.
 */
let lastBasicDate: { readonly text: string; readonly ms: number | undefined } = {
  text: '',
  ms: undefined,
};

/** Reads {@link basicDate}; undefined for anything else, and for days that do not exist. */
export function parseBasicDate(text: string): number | undefined {
  if (lastBasicDate.text === text) return lastBasicDate.ms;
  const read = BASIC.test(text)
    ? Date.parse(text.replace(BASIC, '$1-$2-$3T$4:$5:$6Z'))
    : Number.NaN;
  const ms = Number.isNaN(read) || basicDate(read) !== text ? undefined : read;
  lastBasicDate = { text, ms };
  return ms;
}

/** Reads the date of an HTTP header, in any of its three forms; undefined for anything else. */
export function parseHttpDate(text: string): number | undefined {
  if (!HTTP_DATE.test(text)) return undefined;
  // The asctime form names no zone and means GMT; Date.parse would take the local one.
  const ms = Date.parse(/GMT|UTC|[+-]\d{4}$/.test(text) ? text : `${text} GMT`);
  return Number.isNaN(ms) ? undefined : ms;
}
