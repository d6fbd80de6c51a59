import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { expect, it } from 'vitest';
import { Exchange } from './exchange.ts';

it.each([
  ['plain', new Socket(), false],
  ['encrypted', new TLSSocket(new Socket()), true],
])('an exchange on a connection that is %s says so', (_, socket, isEncrypted) => {
  const request = new IncomingMessage(socket);
  const exchange = new Exchange(request, new ServerResponse(request), 'id', 0, false);
  expect(exchange.isEncrypted).toBe(isEncrypted);
});
