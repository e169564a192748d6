// What starts the demo: written by the supervisor as JSON, read by demo/main.ts.

export type DemoServiceName = 'productpage' | 'details' | 'reviews' | 'ratings';

export interface DemoServiceSpec {
  name: DemoServiceName;
  version: string;
  /** Loopback port the service listens on. */
  port: number;
  /** Base URLs of the services it calls, by name; these are its own sidecar's loopback ports. */
  upstreams: Readonly<Partial<Record<DemoServiceName, string>>>;
}

export interface DemoSpec {
  services: readonly DemoServiceSpec[];
  load: { target: string; rps: number; controlPort: number };
}
