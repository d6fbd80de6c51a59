/**
 * The error shape of all packages.
 *
 * Each package declares one union of details, told apart by `code`, and one class on top of
 * {@link DozoError}. Codes are API: documented, tested, never renamed. A message says what was
 * tried, what is, what is needed, and what to do next.
 */
export class DozoError<Detail extends { readonly code: string }> extends Error {
  readonly detail: Detail;

  constructor(message: string, detail: Detail, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
    this.detail = detail;
  }

  get code(): Detail['code'] {
    return this.detail.code;
  }
}

/** Whether `error` is a {@link DozoError} with one of `codes`. */
export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof DozoError && codes.includes((error.detail as { code: string }).code);
}
