/** Addresses as people and programs write them. */

/** A URL of a listener; a host of "everywhere" becomes the loopback of that family. */
export function endpointUrl(scheme: 'http' | 'https', host: string, port: number): string {
  return `${scheme}://${hostInUrl(reachableHost(host))}:${port}`;
}

/** `host:port`, with brackets around an IPv6 address. */
export function hostAndPort(host: string, port: number): string {
  return `${hostInUrl(host)}:${port}`;
}

function reachableHost(host: string): string {
  if (host === '0.0.0.0' || host === '') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}

function hostInUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
