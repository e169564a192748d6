// Kubernetes' Status object: how its clients want to be refused.

import type { Problem } from '@weft/mesh-core/model';

const REASONS: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  409: 'Conflict',
  410: 'Expired',
  413: 'RequestEntityTooLarge',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  500: 'InternalError',
  503: 'ServiceUnavailable',
};

export interface KubeStatus {
  kind: 'Status';
  apiVersion: 'v1';
  metadata: Record<string, never>;
  status: 'Success' | 'Failure';
  message?: string;
  reason?: string;
  details?: { name?: string; group?: string; kind?: string; uid?: string; causes?: { reason: string; message: string; field: string }[] };
  code: number;
}

/** A Status for an HTTP code; `problems` become causes by field path. */
export function statusOf(code: number, message: string, details: KubeStatus['details'] & { problems?: readonly Problem[]; reason?: string } = {}): KubeStatus {
  const { problems, reason = REASONS[code] ?? 'Unknown', ...rest } = details;
  const causes = problems?.filter((p) => p.severity === 'error').map((p) => ({ reason: 'FieldValueInvalid', message: p.message, field: p.path ?? '' }));
  const shown = causes !== undefined && causes.length > 0 ? causes.map((c) => (c.field === '' ? c.message : `${c.field}: ${c.message}`)).join(', ') : message;
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: shown,
    reason,
    details: { ...rest, ...(causes === undefined ? {} : { causes }) },
    code,
  };
}
