/** What to say when an address cannot be listened on. */
import { causeName, CommandError } from '../errors.ts';
import { hostAndPort } from './endpoint.ts';

/** Turns the kernel's word into one line that says what to do; `option` chooses another port. */
export function listenError(
  error: unknown,
  host: string,
  port: number,
  option: '--port' | '--health-port',
): CommandError {
  const address = hostAndPort(host, port);
  const cause = causeName(error);
  if (cause === 'EADDRINUSE') {
    return new CommandError(
      `cannot listen on ${address}: another program already does; stop it or choose another with ${option}`,
      { code: 'ADDRESS_IN_USE', address },
      { cause: error },
    );
  }
  return new CommandError(
    `cannot listen on ${address}: ${REASONS[cause] ?? cause}; choose with --host and ${option}`,
    { code: 'ADDRESS_UNUSABLE', address },
    { cause: error },
  );
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'this user may not (ports below 1024 need a privilege)',
  EADDRNOTAVAIL: 'this machine does not have that address',
  ENOTFOUND: 'no address is known for that name',
  EAI_AGAIN: 'that name cannot be looked up now',
};
