/** What the two processes of the space bench tell each other. */

export interface SpaceJob {
  /** Where the device file is made. */
  readonly directory: string;
  readonly deviceBytes: number;
  /** Payload of a segment; 0: what the engine takes for such a device by itself. */
  readonly segmentPayloadBytes: number;
  /** Part of `of` that live records take, their heads included. */
  readonly fill: number;
  readonly of: 'usableBytes' | 'payloadBytes';
  readonly valueBytes: number;
  readonly writers: number;
  /** Overwrites until so many times the size of the device has been put. */
  readonly turns: number;
  /** Puts a second of all writers together; 0: as fast as they are answered. */
  readonly rate: number;
}

/** What happened while one part of the bytes was put. */
export interface Slice {
  readonly name: string;
  readonly putsPerSecond: number;
  /** Bytes written to the device over bytes of keys and values; all that the engine did meanwhile. */
  readonly writeAmplification: number;
  readonly movedBytes: number;
  readonly failedCount: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
  /** The longest time that the event loop was late. */
  readonly loopMsMax: number;
  readonly residentBytes: number;
}

export interface SpaceResult {
  readonly segmentCount: number;
  readonly segmentBytes: number;
  readonly usableBytes: number;
  /** What the engine said it holds when it had been filled, or when it refused to be. */
  readonly filledBytes: number;
  readonly keyCount: number;
  /** It could not be filled so far: nothing else was measured. */
  readonly isRefused: boolean;
  readonly slices: readonly Slice[];
  /** All slices but the filling, taken together. */
  readonly steady?: Slice;
  /** Values that were not the last ones written, of all that were read at the end. */
  readonly wrongCount: number;
  readonly checkedCount: number;
}
