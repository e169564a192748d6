// OutlierDetection, with Envoy's defaults.

import type { OutlierRules } from '@weft/mesh-core/traffic';
import type { Fields } from './fields.ts';

export function decodeOutlier(fields: Fields): OutlierRules {
  const baseEjectionMs = fields.ms('baseEjectionTime', 30_000);
  const rules: OutlierRules = {
    consecutive5xx: fields.number('consecutive5xx', 5),
    enforcingConsecutive5xx: fields.number('enforcingConsecutive5xx', 100),
    consecutiveGatewayFailure: fields.number('consecutiveGatewayFailure', 5),
    enforcingConsecutiveGatewayFailure: fields.number('enforcingConsecutiveGatewayFailure', 0),
    splitLocalOrigin: fields.flag('splitExternalLocalOriginErrors'),
    consecutiveLocalOriginFailure: fields.number('consecutiveLocalOriginFailure', 5),
    enforcingConsecutiveLocalOriginFailure: fields.number('enforcingConsecutiveLocalOriginFailure', 100),
    rates: {
      successRate: {
        minimumHosts: fields.number('successRateMinimumHosts', 5),
        requestVolume: fields.number('successRateRequestVolume', 100),
        stdevFactor: fields.number('successRateStdevFactor', 1_900) / 1_000,
      },
      failurePercentage: {
        threshold: fields.number('failurePercentageThreshold', 85),
        minimumHosts: fields.number('failurePercentageMinimumHosts', 5),
        requestVolume: fields.number('failurePercentageRequestVolume', 50),
      },
    },
    enforcingSuccessRate: fields.number('enforcingSuccessRate', 100),
    enforcingLocalOriginSuccessRate: fields.number('enforcingLocalOriginSuccessRate', 100),
    enforcingFailurePercentage: fields.number('enforcingFailurePercentage', 0),
    enforcingFailurePercentageLocalOrigin: fields.number('enforcingFailurePercentageLocalOrigin', 0),
    intervalMs: fields.ms('interval', 10_000),
    baseEjectionMs,
    maxEjectionMs: fields.ms('maxEjectionTime', Math.max(baseEjectionMs, 300_000)),
    maxEjectionJitterMs: fields.ms('maxEjectionTimeJitter', 0),
    maxEjectionPercent: Math.min(100, fields.number('maxEjectionPercent', 10)),
    alwaysEjectOneHost: fields.flag('alwaysEjectOneHost'),
    unejectOnHealthCheck: fields.flag('successfulActiveHealthCheckUnejectHost', true),
  };
  fields.end();
  return rules;
}
