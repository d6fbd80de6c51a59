/** The AWS SDK for JavaScript, pointed at a server of ours. */
import { S3Client, S3ServiceException, type S3ClientConfig } from '@aws-sdk/client-s3';
import { ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, type DozoServer } from './dozo-server.ts';

const silent = (): void => {
  // What the SDK would say is in the error that it throws.
};

/** A client with the defaults that everybody has, except that it does not hide an error by retrying. */
export function sdkClient(server: DozoServer, overrides: S3ClientConfig = {}): S3Client {
  return new S3Client({
    endpoint: server.endpoint,
    region: REGION,
    credentials: { accessKeyId: ACCESS_KEY_ID, secretAccessKey: SECRET_ACCESS_KEY },
    forcePathStyle: true,
    maxAttempts: 1,
    logger: { trace: silent, debug: silent, info: silent, warn: silent, error: silent },
    ...overrides,
  });
}

/** What a request was refused with: `404 NoSuchKey`. Fails if it was not refused. */
export async function refusalOf(request: Promise<unknown>): Promise<string> {
  try {
    await request;
  } catch (error) {
    if (!(error instanceof S3ServiceException)) throw error;
    return `${error.$metadata.httpStatusCode ?? 0} ${error.name}`;
  }
  return 'not refused';
}
