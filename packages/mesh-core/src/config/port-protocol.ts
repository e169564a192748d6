// What a port of a Service speaks.

/** `https`: TLS that is passed on as it is. `auto`: not declared, told by the first bytes. */
export type Protocol = 'http' | 'http2' | 'grpc' | 'grpc-web' | 'tcp' | 'https' | 'auto';

const WELL_KNOWN_TCP = new Set([25, 53, 3306, 27017]);

/** Istio's explicit protocol selection: appProtocol, else the port name's first part. Undeclared ports are sniffed but for the server-first ones. */
export function protocolOf(name: string, appProtocol: string | undefined, port: number): Protocol {
  const declared = (appProtocol ?? name).toLowerCase();
  if (declared === 'kubernetes.io/h2c') return 'http2';
  if (declared.startsWith('grpc-web')) return 'grpc-web';
  const word = declared.split(/[-/]/)[0] ?? '';
  switch (word) {
    case 'http':
    case 'http2':
    case 'grpc':
    case 'tcp':
    case 'https':
      return word;
    case 'tls':
      return 'https';
    case 'mongo':
    case 'mysql':
    case 'redis':
      return 'tcp';
    default:
      return WELL_KNOWN_TCP.has(port) ? 'tcp' : 'auto';
  }
}
