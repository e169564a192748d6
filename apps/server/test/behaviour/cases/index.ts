// All cases, area by area.

import type { Case } from '../case.ts';
import { ACTIONS } from './actions.ts';
import { ADMIN } from './admin.ts';
import { AUTHENTICATION } from './authentication.ts';
import { AUTHORIZATION } from './authorization.ts';
import { BACKEND_TLS } from './backend-tls.ts';
import { BALANCING } from './balancing.ts';
import { CORNERS } from './corners.ts';
import { DRAIN } from './drain.ts';
import { EGRESS } from './egress.ts';
import { EXTERNAL_AUTHORIZATION } from './external-authorization.ts';
import { FLAGS } from './flags.ts';
import { GATEWAY_API_EDGE } from './gateway-api-edge.ts';
import { GATEWAY_API } from './gateway-api.ts';
import { GATEWAY_API_L4 } from './gateway-api-l4.ts';
import { GATEWAY_TLS } from './gateway-tls.ts';
import { GATEWAY_UPGRADES } from './gateway-upgrades.ts';
import { GATEWAYS } from './gateways.ts';
import { GRPC_WEB } from './grpc-web.ts';
import { HEADER_OPERATIONS } from './header-operations.ts';
import { HASHING } from './hashing.ts';
import { HEALTH } from './health.ts';
import { L4 } from './l4.ts';
import { INGRESS } from './ingress.ts';
import { LIMITS } from './limits.ts';
import { MATCHES } from './matches.ts';
import { MIRRORS } from './mirrors.ts';
import { OBSERVABILITY } from './observability.ts';
import { OWN_ANSWERS } from './own-answers.ts';
import { PRECEDENCE } from './precedence.ts';
import { PROTOCOLS } from './protocols.ts';
import { RESILIENCE } from './resilience.ts';
import { RETRIES } from './retries.ts';
import { ROOT_NAMESPACE } from './root-namespace.ts';
import { SCOPE } from './scope.ts';
import { SECURITY } from './security.ts';
import { TELEMETRY } from './telemetry.ts';
import { ORIGINATION } from './tls.ts';
import { WILDCARD_RULES } from './wildcard-rules.ts';

export const CASES: readonly Case[] = [
  ...PROTOCOLS,
  ...GRPC_WEB,
  ...CORNERS,
  ...MATCHES,
  ...PRECEDENCE,
  ...ACTIONS,
  ...HEADER_OPERATIONS,
  ...OWN_ANSWERS,
  ...MIRRORS,
  ...GATEWAY_API,
  ...GATEWAY_API_L4,
  ...BALANCING,
  ...HASHING,
  ...HEALTH,
  ...RESILIENCE,
  ...RETRIES,
  ...LIMITS,
  ...L4,
  ...SECURITY,
  ...AUTHENTICATION,
  ...AUTHORIZATION,
  ...EXTERNAL_AUTHORIZATION,
  ...OBSERVABILITY,
  ...TELEMETRY,
  ...FLAGS,
  ...DRAIN,
  ...ADMIN,
  ...EGRESS,
  ...ORIGINATION,
  ...BACKEND_TLS,
  ...SCOPE,
  ...WILDCARD_RULES,
  ...ROOT_NAMESPACE,
  ...GATEWAYS,
  ...GATEWAY_TLS,
  ...GATEWAY_UPGRADES,
  ...INGRESS,
  ...GATEWAY_API_EDGE,
];
