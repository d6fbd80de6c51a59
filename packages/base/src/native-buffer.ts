/**
 * The native routines of Node's `Buffer` that work on any `Uint8Array`, where there are any.
 *
 * Nothing depends on them but speed: everything that uses one has a portable way to the same result,
 * and tests compare the two.
 */
interface NativeBuffer {
  readonly allocUnsafeSlow: (sizeBytes: number) => Uint8Array<ArrayBuffer>;
  /** Below half of Node's pool the memory is a part of it, which cannot be transferred to another thread. */
  readonly allocUnsafe: (sizeBytes: number) => Uint8Array<ArrayBuffer>;
  readonly compare: (left: Uint8Array, right: Uint8Array) => number;
  readonly prototype: {
    readonly latin1Slice: (this: Uint8Array, start: number, end: number) => string;
    readonly latin1Write: (
      this: Uint8Array,
      text: string,
      offset: number,
      length: number,
    ) => number;
  };
}

/** Node's `Buffer`, or `undefined` in another runtime. */
export const nativeBuffer = (globalThis as { Buffer?: NativeBuffer }).Buffer;
