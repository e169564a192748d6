// A client of an AdsStream that acknowledges when told to, and writes down what it got as `cluster +a@1 -b`.

import { AdsStream } from '../ads-stream.ts';
import type { Dialect } from '../ads-stream.ts';
import { shortTypeName } from '../diff.ts';
import type { ResourceSet } from '../resource.ts';
import type { RequestFact, XdsRequest, XdsResponse } from '../subscription.ts';
import { request, snapshot } from './requests.ts';
import type { Short } from './requests.ts';

export class TestClient {
  readonly stream: AdsStream;
  fact: RequestFact = { kind: 'subscribe' };
  readonly #lastNonce = new Map<string, string>();
  /** SotW clients repeat their names with every request. */
  readonly #names = new Map<Short, readonly string[]>();

  /** `before`: as it comes back to the server it had. */
  constructor(dialect: Dialect, content: Parameters<typeof snapshot>[0], before?: TestClient) {
    this.stream = new AdsStream(dialect, snapshot(content), true, before?.stream.types);
  }

  send(short: Short, fields: Partial<XdsRequest> = {}): string[] {
    if (fields.names !== undefined) this.#names.set(short, fields.names);
    const { fact, responses } = this.stream.onRequest(request(short, { names: this.#names.get(short) ?? [], ...fields }));
    this.fact = fact;
    return this.told(responses);
  }

  ack(short: Short, fields: Partial<XdsRequest> = {}): string[] {
    return this.send(short, { nonce: this.#lastNonce.get(short) ?? '', ...fields });
  }

  nack(short: Short, error = 'no'): string[] {
    return this.ack(short, { error });
  }

  update(content: Parameters<typeof snapshot>[0]): string[] {
    return this.told(this.stream.onSnapshot(snapshot(content) satisfies ResourceSet));
  }

  /** Writes down what was sent. */
  told(responses: readonly XdsResponse[]): string[] {
    return responses.map((response) => {
      const short = shortTypeName(response.typeUrl);
      this.#lastNonce.set(short, response.nonce);
      const parts = [...response.resources.map((r) => `+${r.name}@${r.version}`).toSorted(), ...response.removed.map((name) => `-${name}`).toSorted()];
      return [short, ...parts].join(' ');
    });
  }
}
