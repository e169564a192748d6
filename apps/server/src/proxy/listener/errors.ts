export class ListenerBindError extends Error {
  readonly code = 'WEFT_LISTENER_BIND';
  /** Names of the listeners that are not served. */
  readonly listeners: readonly string[];
  constructor(failures: readonly { name: string; address: string; port: number; error: unknown }[]) {
    const text = failures.map(({ name, address, port, error }) => `${name} on ${address}:${port} (${error instanceof Error ? error.message : String(error)})`);
    super(`Cannot listen: ${text.join('; ')}`);
    this.listeners = failures.map(({ name }) => name);
  }
}
