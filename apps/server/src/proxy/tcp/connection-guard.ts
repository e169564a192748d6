// envoy.filters.network.rbac and envoy.filters.network.ext_authz: whether a connection may go on. All there is to know of it is known when
// it is there: it is decided then, and an upstream never hears of one that is refused.

import { compileMetadataMatch, type DynamicMetadata, type RbacSubject, withMetadata } from '@weft/mesh-core/traffic';
import type { NetworkExtAuthz } from '../config/ext-authz-model.ts';
import type { NetworkFilter } from '../config/model.ts';
import type { NetworkRbac } from '../config/rbac-model.ts';
import type { Counter, Counters } from '../http/counters.ts';
import { type CheckedConnection, connectionCheck } from '../http/ext-authz/check-request.ts';
import { askGrpc } from '../http/ext-authz/grpc-service.ts';
import type { Verdict } from '../http/ext-authz/verdict.ts';
import { compileRbacEngine } from '../http/filters/rbac.ts';
import type { Asking, OwnWorld } from '../http/own-request.ts';

/** In Envoy's words: the response flag, '' = none, and the details of a response or of the connection's end. */
export interface Refusal {
  flag: string;
  details: string;
  termination: string;
}

/** Hears who refuses, or undefined = the connection may go on; once, and perhaps at once. */
type Judged = (refusal: Refusal | undefined) => void;
/** Goes on by itself, now or later, or ends with a refusal. */
type Step = (judgement: Judgement) => void;

export interface ConnectionGuard {
  /** The filters in their order: the first that refuses decides. */
  judge(connection: CheckedConnection, world: OwnWorld, judged: Judged): Asking;
}

/** Undefined = there are no filters. @throws RegexError */
export function compileGuard(filters: readonly NetworkFilter[], counters: Counters): ConnectionGuard | undefined {
  if (filters.length === 0) return undefined;
  const steps = filters.map((filter) => (filter.kind === 'rbac' ? rbacStep(filter, counters) : extAuthzStep(filter, counters)));
  return {
    judge(connection, world, judged) {
      const judgement = new Judgement(steps, connection, world, judged);
      judgement.goOn();
      return judgement;
    },
  };
}

class Judgement implements Asking {
  readonly connection: CheckedConnection;
  readonly world: OwnWorld;
  metadata: DynamicMetadata | undefined;
  /** Under way. */
  asking: Asking | undefined;
  private readonly steps: readonly Step[];
  private readonly judged: Judged;
  private next = 0;

  constructor(steps: readonly Step[], connection: CheckedConnection, world: OwnWorld, judged: Judged) {
    this.steps = steps;
    this.connection = connection;
    this.world = world;
    this.judged = judged;
  }

  goOn(): void {
    this.asking = undefined;
    const step = this.steps[this.next++];
    if (step === undefined) this.judged(undefined);
    else step(this);
  }

  refuse(refusal: Refusal): void {
    this.asking = undefined;
    this.judged(refusal);
  }

  cancel(): void {
    this.asking?.cancel();
  }
}

const rbacNamespace = 'envoy.filters.network.rbac';

function rbacStep({ config, scope }: NetworkRbac, counters: Counters): Step {
  const engine = compileRbacEngine(config, scope, counters);
  return (judgement) => {
    const { access } = judgement.connection;
    const subject: RbacSubject = { connection: access, request: undefined, remoteAddress: access.sourceAddress, metadata: judgement.metadata };
    const found = engine.findings(subject);
    if (found !== undefined) judgement.metadata = withMetadata(judgement.metadata, rbacNamespace, found);
    const refusal = engine.refusal(subject);
    if (refusal === undefined) judgement.goOn();
    else judgement.refuse({ flag: '', details: '', termination: refusal.details });
  };
}

function extAuthzStep({ statPrefix, service, failureModeAllow, enabledMetadata, tlsSession }: NetworkExtAuthz, counters: Counters): Step {
  const counter = (name: string): Counter => counters.of(`ext_authz.${statPrefix}.${name}`);
  const [total, disabled, closed, allowedOnFailure] = [counter('total'), counter('disabled'), counter('cx_closed'), counter('failure_mode_allowed')];
  const outcomes: Readonly<Record<Verdict['kind'], Counter>> = { ok: counter('ok'), denied: counter('denied'), error: counter('error') };
  const wants = enabledMetadata === undefined ? () => true : compileMetadataMatch(enabledMetadata);
  return (judgement) => {
    const { connection, world } = judgement;
    if (!wants(judgement.metadata)) {
      disabled.value++;
      return judgement.goOn();
    }
    total.value++;
    let answered = false;
    const caller = { world, address: connection.access.destinationAddress, traceLines: '' };
    const asking = askGrpc(service, connectionCheck(connection, tlsSession), caller, ({ kind }) => {
      answered = true;
      outcomes[kind].value++;
      if (kind === 'error' && failureModeAllow) allowedOnFailure.value++;
      else if (kind !== 'ok') {
        closed.value++;
        return judgement.refuse({ flag: 'UAEX', details: kind === 'denied' ? 'ext_authz_denied' : 'ext_authz_error', termination: '' });
      }
      judgement.goOn();
    });
    if (!answered) judgement.asking = asking;
  };
}
