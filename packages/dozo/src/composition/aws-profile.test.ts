import { describe, expect, it } from 'vitest';

import { awsConfigText, awsLinesToTry } from './aws-profile.ts';
import type { AwsProfile } from './aws-profile.ts';

const profile: AwsProfile = {
  endpoint: 'http://127.0.0.1:9000',
  credentialsFile: '/data/credentials.json',
  source: 'file',
  tlsCertificateFile: undefined,
};

describe('the lines to try', () => {
  it('are three, name the profile aloud and hold no secret', () => {
    expect(awsLinesToTry(profile, '/data/aws-config')).toEqual([
      'export AWS_CONFIG_FILE=/data/aws-config',
      'aws --endpoint-url http://127.0.0.1:9000 --profile dozo s3 mb s3://first-light',
      'echo hello | aws --endpoint-url http://127.0.0.1:9000 --profile dozo s3 cp - s3://first-light/hello.txt && aws --endpoint-url http://127.0.0.1:9000 --profile dozo s3 ls s3://first-light',
    ]);
  });

  it('take the variables where the credentials came from variables', () => {
    const lines = awsLinesToTry({ ...profile, source: 'environment' }, '/data/aws-config');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toContain('AWS_SECRET_ACCESS_KEY="$DOZO_SECRET_ACCESS_KEY"');
    expect(lines.join('\n')).not.toContain('--profile');
  });

  it('survive a directory with a space and a quote in its name', () => {
    const [first] = awsLinesToTry(profile, "/my data/it's/aws-config");
    expect(first).toBe(`export AWS_CONFIG_FILE='/my data/it'\\''s/aws-config'`);
  });
});

describe('the profile', () => {
  it('takes the credentials out of their file', () => {
    const text = awsConfigText(profile);
    expect(text).toContain('[profile dozo]');
    expect(text).toContain('\n    signature_version = s3v4\n');
    expect(text).toContain('\nendpoint_url = http://127.0.0.1:9000\n');
    expect(text).toContain('\ncredential_process = cat /data/credentials.json\n');
    expect(text).not.toContain('ca_bundle');
  });

  it('has no credentials where those came from variables, and trusts the certificate with TLS', () => {
    const text = awsConfigText({
      ...profile,
      source: 'environment',
      tlsCertificateFile: '/tls/certificate.pem',
    });
    expect(text).not.toContain('credential_process');
    expect(text).toContain('\nca_bundle = /tls/certificate.pem\n');
  });
});
