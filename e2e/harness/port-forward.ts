/**
 * Runs inside the network namespace of a container and hands connections to a port in there:
 *
 *     nsenter --target PID --net -- node port-forward.ts SOCKET ADDRESS PORT ...
 *
 * It listens on a socket in the file system, which no network namespace hides, and lives as long as its
 * standard input is open.
 */
import { connect, createServer, type Socket } from 'node:net';

const words = process.argv.slice(2);
for (let at = 0; at < words.length; at += 3) {
  const [path = '', host = '', port = ''] = words.slice(at, at + 3);
  createServer((outside) => {
    join(outside, connect({ host, port: Number(port) }));
  }).listen(path);
}
process.stdin.on('end', () => process.exit(0)).resume();

/** What one says the other hears; the end of one is the end of both. */
function join(left: Socket, right: Socket): void {
  for (const [from, to] of [
    [left, right],
    [right, left],
  ] as const) {
    from.pipe(to);
    from.on('error', () => from.destroy()).on('close', () => to.destroy());
  }
}
