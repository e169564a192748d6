// The live channel /api/v1/live: numbered revisions per feed, resume, and a slow reader skips instead of filling memory.

import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { ALIVE_MS, type Subscribe, clientMessageSchema } from '@weft/mesh-core/api';
import { type WebSocket, WebSocketServer } from 'ws';
import { toAnswer } from './errors.ts';
import { type Feed, feedKey, feedOf } from './live-feeds.ts';
import type { Queries } from './queries.ts';
import { refusalOf } from './security.ts';
import type { ReadyServices } from './services.ts';

const MAX_INBOUND = 65_536;
const MAX_BUFFERED = 262_144;
const MAX_STALL_MS = 30_000;
const MAX_SUBSCRIPTIONS = 50;

interface Subscriber {
  id: number;
  client: Client;
  /** Frames were skipped: the next thing it gets is a snapshot. */
  behind: boolean;
}
interface Client {
  socket: WebSocket;
  subscriptions: Map<number, { feed: RunningFeed; subscriber: Subscriber }>;
  stalledSince: number | undefined;
}
interface RunningFeed {
  key: string;
  topic: Subscribe['topic'];
  feed: Feed;
  rev: number;
  subscribers: Set<Subscriber>;
  started: Promise<() => void>;
}

/** Serves upgrades of `server`; `close()` ends every connection. */
export function attachLive(server: Server, services: ReadyServices, queries: Queries): { close(): Promise<void> } {
  const wss = new WebSocketServer({ noServer: true, maxPayload: MAX_INBOUND });
  const feeds = new Map<string, RunningFeed>();
  const clients = new Set<Client>();

  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const isLive = (request.url ?? '').split('?')[0] === '/api/v1/live';
    if (!isLive || refusalOf(request.headers, services.host, true) !== undefined) {
      socket.end(`HTTP/1.1 ${isLive ? '403 Forbidden' : '404 Not Found'}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
      return;
    }
    wss.handleUpgrade(request, socket, head, (ws) => welcome(ws, socket));
  };
  server.on('upgrade', onUpgrade);
  const alive = setInterval(() => {
    for (const client of clients) if (client.socket.bufferedAmount === 0) sendRaw(client, { type: 'alive' });
  }, ALIVE_MS);
  alive.unref();

  const welcome = (socket: WebSocket, wire: Duplex): void => {
    const client: Client = { socket, subscriptions: new Map(), stalledSince: undefined };
    clients.add(client);
    socket.on('message', (data: Buffer) => void receive(client, data.toString('utf8')).catch((error: unknown) => sendError(client, undefined, error)));
    socket.on('error', () => socket.terminate());
    // What was skipped may have been the last there was to tell.
    wire.on('drain', () => {
      for (const { feed, subscriber } of client.subscriptions.values()) if (subscriber.behind && ready(subscriber)) sendSnapshot(feed, subscriber);
    });
    socket.on('close', () => {
      clients.delete(client);
      for (const id of client.subscriptions.keys()) leave(client, id);
    });
    socket.send(JSON.stringify({ type: 'hello', serverId: services.serverId, version: services.version }));
  };

  const receive = async (client: Client, text: string): Promise<void> => {
    const parsed = clientMessageSchema.safeParse(jsonOf(text));
    if (!parsed.success)
      return sendRaw(client, {
        type: 'error',
        code: 'WEFT_BAD_MESSAGE',
        message: parsed.error.issues.map((i) => `${i.path.join('.')}: ${i.message}`).join('; '),
      });
    const message = parsed.data;
    leave(client, message.id);
    if (message.op === 'unsubscribe') return undefined;
    if (client.subscriptions.size >= MAX_SUBSCRIPTIONS)
      return sendRaw(client, { type: 'error', id: message.id, code: 'WEFT_TOO_MANY', message: `at most ${MAX_SUBSCRIPTIONS} subscriptions a connection` });
    return join(client, message);
  };

  const join = async (client: Client, message: Subscribe): Promise<void> => {
    const running = feedFor(message);
    const subscriber: Subscriber = { id: message.id, client, behind: false };
    client.subscriptions.set(message.id, { feed: running, subscriber });
    try {
      await running.started;
    } catch (error) {
      feeds.delete(running.key);
      client.subscriptions.delete(message.id);
      return sendError(client, message.id, error);
    }
    // It may have left, or asked for something else under the same id, while the feed started.
    if (client.subscriptions.get(message.id)?.subscriber !== subscriber) return stopIfUnused(running);
    running.subscribers.add(subscriber);
    const resumes = message.topic === 'graph' && message.serverId === services.serverId && message.rev === running.rev;
    if (!resumes) sendSnapshot(running, subscriber);
    return undefined;
  };

  const feedFor = (message: Subscribe): RunningFeed => {
    const key = feedKey(message);
    const known = feeds.get(key);
    if (known !== undefined) return known;
    const feed = feedOf(services, queries, message);
    const created: RunningFeed = { key, topic: message.topic, feed, rev: 1, subscribers: new Set(), started: Promise.resolve(() => undefined) };
    created.started = feed.start(
      (delta) => publish(created, delta),
      (error) => {
        for (const s of created.subscribers) sendError(s.client, s.id, error);
      },
    );
    feeds.set(key, created);
    return created;
  };

  const publish = (running: RunningFeed, delta: unknown): void => {
    const prev = running.rev;
    running.rev += 1;
    const text = delta === undefined ? undefined : JSON.stringify(delta);
    for (const subscriber of running.subscribers) {
      if (!ready(subscriber)) continue;
      if (text === undefined || subscriber.behind) sendSnapshot(running, subscriber);
      else
        subscriber.client.socket.send(`{"type":"delta","id":${subscriber.id},"rev":${running.rev},"prev":${prev},"topic":"${running.topic}","data":${text}}`);
    }
  };

  /** False = too much is waiting to be sent; what is skipped now comes as a snapshot later. */
  const ready = (subscriber: Subscriber): boolean => {
    const { client } = subscriber;
    if (client.socket.readyState !== client.socket.OPEN) return false;
    if (client.socket.bufferedAmount <= MAX_BUFFERED) {
      client.stalledSince = undefined;
      return true;
    }
    subscriber.behind = true;
    client.stalledSince ??= services.now();
    if (services.now() - client.stalledSince > MAX_STALL_MS) client.socket.terminate();
    return false;
  };

  const sendSnapshot = (running: RunningFeed, subscriber: Subscriber): void => {
    subscriber.behind = false;
    sendRaw(subscriber.client, { type: 'snapshot', id: subscriber.id, rev: running.rev, topic: running.topic, data: running.feed.snapshot() });
  };

  const leave = (client: Client, id: number): void => {
    const subscription = client.subscriptions.get(id);
    if (subscription === undefined) return;
    client.subscriptions.delete(id);
    subscription.feed.subscribers.delete(subscription.subscriber);
    stopIfUnused(subscription.feed);
  };

  const stopIfUnused = (running: RunningFeed): void => {
    const wanted = [...clients].some((c) => [...c.subscriptions.values()].some((s) => s.feed === running));
    if (wanted || feeds.get(running.key) !== running) return;
    feeds.delete(running.key);
    running.started.then((stop) => stop()).catch(() => undefined);
  };

  const sendError = (client: Client, id: number | undefined, error: unknown): void => {
    const { body, status } = toAnswer(error, () => undefined);
    if (status >= 500) services.log(`live: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    sendRaw(client, { type: 'error', ...(id === undefined ? {} : { id }), code: body.error.code, message: body.error.message });
  };

  return {
    close: async () => {
      server.off('upgrade', onUpgrade);
      clearInterval(alive);
      for (const client of clients) {
        for (const id of client.subscriptions.keys()) leave(client, id);
        client.socket.terminate();
      }
      wss.close();
    },
  };
}

function sendRaw(client: Client, message: unknown): void {
  if (client.socket.readyState === client.socket.OPEN) client.socket.send(JSON.stringify(message));
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
