import { DozoError, hasCode } from '@dozo/base';
import { describe, expect, it } from 'vitest';
import { invalidArgument, S3Error } from './errors.ts';

describe('S3Error', () => {
  it('brings the status and sentence of its code', () => {
    const error = new S3Error('NoSuchBucket');
    expect(error).toBeInstanceOf(DozoError);
    expect(hasCode(error, 'NoSuchBucket')).toBe(true);
    expect([error.status, error.message]).toEqual([404, 'The specified bucket does not exist.']);
    expect(error.detail).toEqual({ code: 'NoSuchBucket', status: 404, fields: {}, headers: {} });
  });

  it('may say more', () => {
    const cause = new Error('why');
    const error = new S3Error('InternalError', { message: 'm', fields: { Key: 'k' }, cause });
    expect([error.message, error.detail.fields, error.cause]).toEqual(['m', { Key: 'k' }, cause]);
  });

  it('names a bad argument', () => {
    const error = invalidArgument('max-keys', '-1', 'no');
    expect([error.code, error.status]).toEqual(['InvalidArgument', 400]);
    expect(error.detail.fields).toEqual({ ArgumentName: 'max-keys', ArgumentValue: '-1' });
  });
});
