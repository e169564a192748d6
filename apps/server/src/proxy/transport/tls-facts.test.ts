import { expect, test } from 'vitest';
import { sessionId } from './tls-facts.ts';

// What getSession() begins with, as seen with OpenSSL 3.0 and 3.5.
const SESSION = '30820442020101020203030402c02b042073dcf21cf554de88a3df8e069ae69148cbc02ef8c26e4690e4de44d2a2e478750430';
const ID = '73dcf21cf554de88a3df8e069ae69148cbc02ef8c26e4690e4de44d2a2e47875';

test.each([
  ['as OpenSSL writes it', SESSION, ID],
  ['bound to a server, as Node 24.22 gives it to clients', `${Buffer.from('\0nodejs:tls:session:1\0\0\tlocalhost').toString('hex')}${SESSION}`, ID],
  ['without an id, as a server has it', SESSION.replace(`20${ID}`, '00'), ''],
  ['what nobody knows yet', '006e6f64656a733a746c733a73657373696f6e3a3200', ''],
])('the id of a session: %s', (_, session, id) => expect(sessionId(Buffer.from(session, 'hex'))).toBe(id));
