// The live channel: keeps subscriptions over reconnects, and subscribes again when a numbered delta is missing.

import { ALIVE_MS, type ServerMessage, type SubscribeInput, serverMessageSchema } from '@weft/mesh-core/api';

export type LiveState = 'connecting' | 'live' | 'lost';
export type Frame = Extract<ServerMessage, { rev: number }>;
type WithoutId<T> = T extends unknown ? Omit<T, 'id' | 'op'> : never;
export type Topic = WithoutId<SubscribeInput>;

interface Socket {
  send(text: string): void;
  close(): void;
  onopen: ((event: Event) => unknown) | null;
  onmessage: ((event: MessageEvent) => unknown) | null;
  onclose: ((event: CloseEvent) => unknown) | null;
}
interface Subscription {
  topic: Topic;
  rev: number | undefined;
  onFrame(frame: Frame): void;
  onError(message: string): void;
}
export interface LiveClient {
  /** Starts a subscription; the result ends it. Frames arrive in order and without gaps. */
  subscribe(topic: Topic, onFrame: (frame: Frame) => void, onError?: (message: string) => void): () => void;
  /** Tells the connection's state now and at every change; the result stops that. */
  watch(listener: (state: LiveState) => void): () => void;
  close(): void;
}
export interface LiveOptions {
  connect(): Socket;
  random(): number;
  setTimeout(run: () => void, ms: number): unknown;
}

/** A frozen server, or a network that is gone, closes nothing. */
const SILENT_MS = 3 * ALIVE_MS;

/** Connects at once; waits 0.5 s to 5 s between tries, spread by jitter so that many consoles do not return together. */
export function createLiveClient(options: LiveOptions): LiveClient {
  const subscriptions = new Map<number, Subscription>();
  const listeners = new Set<(state: LiveState) => void>();
  let socket: Socket | undefined;
  let state: LiveState = 'connecting';
  let tries = 0;
  let heard = 0;
  let nextId = 1;
  let closed = false;

  const setState = (next: LiveState): void => {
    state = next;
    for (const listener of listeners) listener(next);
  };
  const send = (message: object): void => {
    if (state === 'live') socket?.send(JSON.stringify(message));
  };
  const ask = (id: number, subscription: Subscription): void => {
    subscription.rev = undefined;
    send({ op: 'subscribe', id, ...subscription.topic });
  };
  const receive = (text: string): void => {
    const parsed = serverMessageSchema.safeParse(JSON.parse(text));
    if (!parsed.success) return;
    const message = parsed.data;
    if (message.type === 'hello' || message.type === 'alive') return;
    if (message.type === 'error') {
      if (message.id !== undefined) subscriptions.get(message.id)?.onError(message.message);
      return;
    }
    const subscription = subscriptions.get(message.id);
    if (subscription === undefined) return;
    if (message.type === 'delta') {
      // While a new snapshot is awaited, deltas of the old line mean nothing.
      if (subscription.rev === undefined) return;
      if (message.prev !== subscription.rev) {
        ask(message.id, subscription);
        return;
      }
    }
    subscription.rev = message.rev;
    subscription.onFrame(message);
  };
  const open = (): void => {
    if (closed) return;
    const opened = options.connect();
    socket = opened;
    opened.onopen = () => {
      tries = 0;
      heard += 1;
      setState('live');
      for (const [id, subscription] of subscriptions) ask(id, subscription);
    };
    opened.onmessage = (event) => {
      heard += 1;
      receive(String(event.data));
    };
    opened.onclose = () => lose(opened);
    listenTo(opened);
  };
  const lose = (lost: Socket): void => {
    if (closed || socket !== lost) return;
    socket = undefined;
    setState('lost');
    const ceiling = Math.min(5_000, 500 * 2 ** tries);
    tries += 1;
    options.setTimeout(open, ceiling * (0.5 + options.random() / 2));
  };
  const listenTo = (opened: Socket): void => {
    const before = heard;
    options.setTimeout(() => {
      if (closed || socket !== opened) return;
      if (heard !== before) return listenTo(opened);
      lose(opened);
      opened.onmessage = null;
      opened.close();
    }, SILENT_MS);
  };
  open();

  return {
    subscribe(topic, onFrame, onError = () => undefined) {
      const id = nextId++;
      const subscription: Subscription = { topic, rev: undefined, onFrame, onError };
      subscriptions.set(id, subscription);
      ask(id, subscription);
      return () => {
        subscriptions.delete(id);
        send({ op: 'unsubscribe', id });
      };
    },
    watch(listener) {
      listeners.add(listener);
      listener(state);
      return () => listeners.delete(listener);
    },
    close() {
      closed = true;
      socket?.close();
    },
  };
}
