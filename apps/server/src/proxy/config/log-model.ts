// What is written of requests and connections, and told of them in spans, decoded.

/** Without `format`, Istio's text. */
export type AccessLog =
  /** `filter`: CEL, which must hold for a request to be written. */
  { kind: 'file'; path: string; format?: LogFormat; filter?: string } | { kind: 'istio-stats' };

/** `%COMMAND%` formats. With `omitEmpty`, what has no value leaves nothing in place of `-`, or no key. */
export type LogFormat = { kind: 'text'; template: string; omitEmpty: boolean } | { kind: 'json'; template: JsonFormat; omitEmpty: boolean };
export type JsonFormatValue = string | number | boolean | null | JsonFormatValue[] | JsonFormat;
export interface JsonFormat {
  [key: string]: JsonFormatValue;
}

export interface CustomTag {
  tag: string;
  /** Literal, or taken from route/host metadata or a request header. */
  source:
    | { kind: 'literal'; value: string }
    | { kind: 'route-metadata' | 'host-metadata'; key: string; path: readonly string[] }
    | { kind: 'header'; name: string; default: string }
    /** A format of access logs. */
    | { kind: 'format'; format: string };
}
