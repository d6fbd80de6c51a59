/** What a person is told when `dozo up` serves. */
import { awsLinesToTry } from './aws-profile.ts';
import type { AwsProfile } from './aws-profile.ts';

export interface Announcement {
  readonly profile: AwsProfile;
  readonly healthEndpoint: string;
  readonly dataDirectory: string;
  readonly awsConfigFile: string;
  /** Nothing is stored yet: show how to begin. */
  readonly isEmpty: boolean;
}

/** The lines for standard output. Holds no secret. */
export function announcementText(announcement: Announcement): string {
  const { profile } = announcement;
  const credentials =
    profile.source === 'file'
      ? profile.credentialsFile
      : 'DOZO_ACCESS_KEY_ID and DOZO_SECRET_ACCESS_KEY of the environment';
  const lines = [
    '',
    `  S3 endpoint   ${profile.endpoint}`,
    `  credentials   ${credentials}`,
    `  data          ${announcement.dataDirectory}`,
    `  health        ${announcement.healthEndpoint}/readyz`,
    '',
  ];
  if (announcement.isEmpty) {
    lines.push('  Three lines to try:', '');
    lines.push(...awsLinesToTry(profile, announcement.awsConfigFile), '');
  }
  return `${lines.join('\n')}\n`;
}
