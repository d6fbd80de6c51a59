/**
 * A profile for AWS tools, and the three lines that a newcomer pastes.
 *
 * The profile names the endpoint and takes the credentials out of their file through
 * `credential_process`, so it holds no secret and the lines show none. `--profile` is said aloud
 * because it alone outranks an `AWS_ACCESS_KEY_ID` that may be set in the shell.
 *
 * Source: https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
 */
import type { Credentials } from './credentials.ts';
import { ACCESS_KEY_ID_VARIABLE, SECRET_VARIABLE } from './credentials.ts';

/** The profile's name in `aws-config`. */
const PROFILE = 'dozo';

export interface AwsProfile {
  readonly endpoint: string;
  readonly credentialsFile: string;
  readonly source: Credentials['source'];
  /** The certificate that clients must trust; undefined without TLS. */
  readonly tlsCertificateFile: string | undefined;
}

/** The text of the `aws-config` file. */
export function awsConfigText(profile: AwsProfile): string {
  const lines = [
    `# For AWS tools: aws --profile ${PROFILE}, with AWS_CONFIG_FILE naming this file.`,
    `# Written by dozo at every start; changes are lost.`,
    `[profile ${PROFILE}]`,
    'region = us-east-1',
    `endpoint_url = ${profile.endpoint}`,
    's3 =',
    '    addressing_style = path',
    '    signature_version = s3v4',
  ];
  if (profile.source === 'file') {
    lines.push(`credential_process = cat ${quoted(profile.credentialsFile)}`);
  }
  if (profile.tlsCertificateFile !== undefined) {
    lines.push(`ca_bundle = ${profile.tlsCertificateFile}`);
  }
  return `${lines.join('\n')}\n`;
}

/** Three lines for a shell that make a bucket, put an object into it and list it. */
export function awsLinesToTry(profile: AwsProfile, awsConfigFile: string): readonly string[] {
  const setUp = [`export AWS_CONFIG_FILE=${quoted(awsConfigFile)}`];
  let aws = `aws --endpoint-url ${profile.endpoint}`;
  if (profile.source === 'file') {
    aws += ` --profile ${PROFILE}`;
  } else {
    setUp.push(
      `AWS_ACCESS_KEY_ID="$${ACCESS_KEY_ID_VARIABLE}"`,
      `AWS_SECRET_ACCESS_KEY="$${SECRET_VARIABLE}"`,
      'AWS_DEFAULT_REGION=us-east-1',
    );
    if (profile.tlsCertificateFile !== undefined) {
      setUp.push(`AWS_CA_BUNDLE=${quoted(profile.tlsCertificateFile)}`);
    }
  }
  return [
    setUp.join(' '),
    `${aws} s3 mb s3://first-light`,
    `echo hello | ${aws} s3 cp - s3://first-light/hello.txt && ${aws} s3 ls s3://first-light`,
  ];
}

/** A word for a POSIX shell, and for Python's `shlex`, which reads `credential_process`. */
function quoted(word: string): string {
  return /^[A-Za-z0-9_./:@%+=-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
