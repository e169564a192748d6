// Access logs to files, batched: lines wait at most 100 ms, so a busy proxy writes ten times a second and not per request.

import { type WriteStream, createWriteStream } from 'node:fs';
import { ISTIO_TEXT } from '@weft/mesh-core/telemetry';
import type { AccessLog } from '../config/log-model.ts';
import type { TcpRecord } from '../http/hooks.ts';
import type { HeaderValueSource } from '../http/header-values.ts';
import { compileLogFilter } from './cel-attributes.ts';
import { type LogFormatter, compileLogFormat, tcpSource } from './format.ts';

const FLUSH_MS = 100;
/** Beyond this many waiting characters lines are dropped and counted: logging must not use up the memory of a slow disk's proxy. */
const MAX_PENDING = 4 * 1024 * 1024;

const istioText = compileLogFormat({ kind: 'text', template: ISTIO_TEXT, omitEmpty: false });

export interface AccessLogs {
  /** `targets` are those of the request's manager. */
  onRequest(targets: readonly AccessLog[], source: HeaderValueSource): void;
  /** Of a connection once it is over, or refused. */
  onTcp(record: TcpRecord): void;
  /** Opens the files anew: somebody has moved them away. */
  reopen(): void;
  dropped(): number;
  /** Writes what is left. */
  close(): Promise<void>;
}

interface LogFile {
  lines: string[];
  size: number;
  stream: NodeJS.WritableStream;
  own: WriteStream | undefined;
}

/** Writes what each manager's `accessLog` asks for; `/dev/stdout` and `/dev/stderr` are this process's own. */
export function openAccessLogs(log: (message: string) => void): AccessLogs {
  const formatters = new WeakMap<AccessLog, LogFormatter>();
  const filters = new WeakMap<AccessLog, (source: HeaderValueSource) => boolean>();
  const files = new Map<string, LogFile>();
  /** Those it has been told of. */
  const failing = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  let dropped = 0;

  const openFile = (path: string): WriteStream =>
    createWriteStream(path, { flags: 'a', mode: 0o640 }).on('error', (error) => {
      if (!failing.has(path)) log(`cannot write the access log ${path}: ${error.message}`);
      failing.add(path);
    });
  const open = (path: string): LogFile => {
    const own = path === '/dev/stdout' || path === '/dev/stderr' ? undefined : openFile(path);
    const file = { lines: [], size: 0, stream: own ?? (path === '/dev/stderr' ? process.stderr : process.stdout), own };
    files.set(path, file);
    return file;
  };
  const flush = (): void => {
    timer = undefined;
    for (const [path, file] of files) {
      const count = file.lines.length;
      if (count === 0) continue;
      // An error, as of a disk that was full, has ended it.
      if (file.own?.destroyed === true) file.stream = file.own = openFile(path);
      file.stream.write(file.lines.join(''), (error) => {
        if (error == null) failing.delete(path);
        else dropped += count;
      });
      file.lines = [];
      file.size = 0;
    }
  };
  const write = (targets: readonly AccessLog[], source: HeaderValueSource): void => {
    for (const target of targets) {
      if (target.kind !== 'file') continue;
      if (target.filter !== undefined) {
        let passes = filters.get(target);
        if (passes === undefined) filters.set(target, (passes = compileLogFilter(target.filter)));
        if (!passes(source)) continue;
      }
      const file = files.get(target.path) ?? open(target.path);
      if (file.size + (file.own?.writableLength ?? 0) > MAX_PENDING) {
        dropped += 1;
        continue;
      }
      let format = formatters.get(target);
      if (format === undefined) formatters.set(target, (format = target.format === undefined ? istioText : compileLogFormat(target.format)));
      const line = format(source);
      file.lines.push(line);
      file.size += line.length;
      timer ??= setTimeout(flush, FLUSH_MS);
    }
  };
  return {
    onRequest: write,
    onTcp(record) {
      if (record.phase === 'opened' || record.phase === 'bytes') return;
      const { accessLog } = record.proxy;
      if (accessLog !== undefined) write(accessLog, tcpSource(record));
    },
    reopen() {
      clearTimeout(timer);
      flush();
      for (const [path, file] of files) {
        file.own?.end();
        if (file.own !== undefined) file.stream = file.own = openFile(path);
      }
    },
    dropped: () => dropped,
    async close() {
      clearTimeout(timer);
      flush();
      const open = [...files.values()].flatMap(({ own }) => (own === undefined || own.destroyed ? [] : [own]));
      await Promise.all(open.map((own) => new Promise<void>((resolve) => own.end(resolve))));
    },
  };
}
