// Tells HTTP from other protocols by a connection's first bytes, as Envoy's http_inspector does.

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const METHODS =
  'ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK M-SEARCH MERGE MKACTIVITY MKCALENDAR MKCOL MOVE NOTIFY OPTIONS PATCH POST PROPFIND PROPPATCH PURGE PUT REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE UNBIND UNLINK UNLOCK UNSUBSCRIBE';
const KNOWN = METHODS.split(' ').map((method) => `${method} `);
const LINE = /^[A-Z-]+ [^ ]+ HTTP\/1\.([01])\r?$/;
/** A request line longer than this is not looked at further; Envoy's limit. */
const LIMIT = 64 * 1024;

/** The application protocol of the bytes; '' = not HTTP; `incomplete` = more bytes may tell. */
export function inspectHttp(bytes: Buffer): 'http/1.0' | 'http/1.1' | 'h2c' | '' | 'incomplete' {
  const start = bytes.toString('latin1', 0, Math.min(bytes.length, PREFACE.length));
  if (PREFACE.startsWith(start)) return start.length === PREFACE.length ? 'h2c' : 'incomplete';
  if (!KNOWN.some((method) => method.startsWith(start) || start.startsWith(method))) return '';
  const end = bytes.indexOf(10);
  if (end < 0) return bytes.length < LIMIT ? 'incomplete' : '';
  const minor = LINE.exec(bytes.toString('latin1', 0, end))?.[1];
  return minor === undefined ? '' : minor === '0' ? 'http/1.0' : 'http/1.1';
}
