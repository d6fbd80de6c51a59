/**
 * Percent coding as S3 and Signature V4 want it: UTF-8, upper-case hex, everything escaped but
 * `A-Z a-z 0-9 - . _ ~`.
 *
 * Encoded text comes as a binary string (one character per byte, as from the request line) and may
 * hold raw bytes above 127. What is not UTF-8, and an escape that is none, has no decoding.
 *
 * Source: S3 API Reference, "Create a canonical request", UriEncode().
 */

const PLAIN = /^[A-Za-z0-9\-._~/]*$/;
const BEYOND_ASCII = /[\u0080-\uffff]/g;
/** What encodeURIComponent leaves alone and Signature V4 does not. */
const ALSO_ESCAPED = /[!'()*]/g;

/** Decodes; undefined for a broken escape or bytes that are not UTF-8. `+` stays a plus. */
export function percentDecode(text: string): string | undefined {
  if (PLAIN.test(text)) return text;
  try {
    return decodeURIComponent(text.replace(BEYOND_ASCII, escapeCharacter));
  } catch {
    return undefined;
  }
}

/** Encodes; a slash too unless `keepSlash`. `text` holds no lone surrogates. */
export function percentEncode(text: string, keepSlash: boolean): string {
  if (PLAIN.test(text) && (keepSlash || !text.includes('/'))) return text;
  const encoded = encodeURIComponent(text).replace(ALSO_ESCAPED, escapeCharacter);
  return keepSlash ? encoded.replaceAll('%2F', '/') : encoded;
}

function escapeCharacter(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}
