// Clients: one question each.

import { request } from 'node:http';
import { request as requestTls } from 'node:https';
import { connect } from 'node:net';

/** Status and body. */
export function get(port: number, host: string, secure?: { ca: string; servername: string }): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, headers: { host }, agent: false as const };
    const asked = (secure === undefined ? request(options) : requestTls({ ...options, ...secure })).on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => resolve(`${response.statusCode} ${text}`));
    });
    asked.on('error', reject).end();
  });
}

/** Says this, each character a byte; until the proxy closes. */
export function sayAll(port: number, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text, 'latin1'));
    socket
      .on('error', reject)
      .on('close', () => resolve())
      .resume();
  });
}

/** The first bytes that come back over TCP. */
export function exchange(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    // Ends only after the answer: a listener of Envoy that looks at first bytes drops who has ended by then.
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.on('data', (part) => {
      resolve(part.toString());
      socket.destroy();
    });
    socket.on('end', () => reject(new Error('closed'))).on('error', reject);
  });
}
