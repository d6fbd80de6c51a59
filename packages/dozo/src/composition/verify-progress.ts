/** Tells in the log how far the verify is that a start after a failed write begins with. */
import type { VerifyProgress } from '@dozo/engine';
import type { Logger } from 'pino';

/** A line at the beginning and after each tenth. */
export function logVerifyProgress(log: Logger): (progress: VerifyProgress) => void {
  let tenthsTold = -1;
  return ({ bytesDone, bytesTotal }) => {
    const tenths = bytesTotal === 0 ? 10 : Math.floor((10 * bytesDone) / bytesTotal);
    if (tenths <= tenthsTold) return;
    if (tenthsTold < 0) log.warn('the last holder saw a write fail: verifying all of the device');
    tenthsTold = tenths;
    log.info({ bytesDone, bytesTotal }, `verified ${tenths * 10} %`);
  };
}
