/**
 * One server with one bucket, and a client of the AWS SDK, for the tests of one file. Hooks of Vitest
 * start it before them and stop it after them; a stop that is not clean fails the file.
 */
import { CreateBucketCommand, type S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect } from 'vitest';
import { DozoServer } from './dozo-server.ts';
import { Scratch } from './scratch.ts';
import { sdkClient } from './sdk-client.ts';

export interface ServedBucketOptions {
  /** Of the directory that the data lies in. */
  readonly name: string;
  readonly bucket: string;
  /** Of the device, as `--size` takes it. */
  readonly size: string;
}

interface Served {
  readonly server: DozoServer;
  client: S3Client;
}

/** What the tests use: the server and the client as they are now. */
export interface ServedBucket {
  readonly server: DozoServer;
  readonly client: S3Client;
  /** Stops the server clean and starts it again; the client is then another one. */
  restart(): Promise<void>;
}

/** To be called at the top of a test file: it registers the hooks. */
export function serveBucket(options: ServedBucketOptions): ServedBucket {
  const scratch = new Scratch(options.name);
  let served: Served | undefined;
  const now = (): Served => {
    if (served === undefined) throw new Error('The server is there only while tests run.');
    return served;
  };

  beforeAll(async () => {
    const dataDirectory = scratch.directory('data');
    const server = await DozoServer.start({ dataDirectory, size: options.size });
    served = { server, client: sdkClient(server) };
    await served.client.send(new CreateBucketCommand({ Bucket: options.bucket }));
  });

  afterAll(async () => {
    if (served !== undefined) {
      served.client.destroy();
      expect(await served.server.stop()).toBe(0);
    }
    scratch.remove();
  });

  return {
    get server() {
      return now().server;
    },
    get client() {
      return now().client;
    },
    async restart() {
      const { server, client } = now();
      client.destroy();
      expect(await server.stop()).toBe(0);
      await server.start();
      now().client = sdkClient(server);
    },
  };
}
