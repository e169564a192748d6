// What one request and its response are on a connection.

/** With all framing; `headers` of those: heads, and what of trailers is not framed as a body. */
export interface WireBytes {
  readonly sent: number;
  readonly headersSent: number;
  readonly received: number;
  readonly headersReceived: number;
}

export const noWire: WireBytes = { sent: 0, headersSent: 0, received: 0, headersReceived: 0 };

export class WireMeter implements WireBytes {
  sent = 0;
  headersSent = 0;
  received = 0;
  headersReceived = 0;

  clear(): void {
    this.sent = this.headersSent = this.received = this.headersReceived = 0;
  }
}

/** Of requests whose bytes nobody asks for. */
export const unread: WireMeter = new WireMeter();
