// All cases, area by area.

import type { Case } from '../case.ts';
import { ACTIONS } from './actions.ts';
import { BALANCING } from './balancing.ts';
import { EGRESS } from './egress.ts';
import { GATEWAYS } from './gateways.ts';
import { L4 } from './l4.ts';
import { MATCHES } from './matches.ts';
import { OBSERVABILITY } from './observability.ts';
import { PRECEDENCE } from './precedence.ts';
import { PROTOCOLS } from './protocols.ts';
import { RESILIENCE } from './resilience.ts';
import { SCOPE } from './scope.ts';
import { SECURITY } from './security.ts';
import { ORIGINATION } from './tls.ts';

export const CASES: readonly Case[] = [
  ...PROTOCOLS,
  ...MATCHES,
  ...PRECEDENCE,
  ...ACTIONS,
  ...BALANCING,
  ...RESILIENCE,
  ...L4,
  ...SECURITY,
  ...OBSERVABILITY,
  ...EGRESS,
  ...ORIGINATION,
  ...SCOPE,
  ...GATEWAYS,
];
