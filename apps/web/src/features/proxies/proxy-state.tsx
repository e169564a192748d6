import type { ProxyStatus } from '@weft/mesh-core/api';
import { IconAlertOctagon, IconCircleCheck, IconClock, IconPlugConnectedX } from '@tabler/icons-react';
import type { ReactElement } from 'react';

const LOOK = {
  synced: ['ok', IconCircleCheck, 'Synced'],
  stale: ['warn', IconClock, 'Waiting for an answer'],
  nacked: ['err', IconAlertOctagon, 'Refused'],
  disconnected: ['warn', IconPlugConnectedX, 'Disconnected'],
} as const;

export function ProxyState({ proxy }: { proxy: ProxyStatus }): ReactElement {
  const [tone, Icon, word] = LOOK[proxy.state];
  return (
    <span className={`chip ${tone}`}>
      <Icon size={12} aria-hidden="true" />
      {word}
    </span>
  );
}

/** What it refused, what could not be applied to it, which keys it lacks: in its own words. */
export function ProxyComplaints({ proxy }: { proxy: ProxyStatus }): ReactElement {
  return (
    <>
      {proxy.types.map(
        (t) =>
          t.nack && (
            <div key={t.type} className={t.ackedVersion === t.sentVersion ? 'muted brk' : 'errt brk'}>
              {t.type}: {t.ackedVersion === t.sentVersion && 'refused earlier, taken since: '}
              {t.nack.message}
            </div>
          ),
      )}
      {(proxy.envoyFilters ?? []).map((f) => (
        <div key={f.filter} className={f.applied ? 'brk' : 'warnt brk'}>
          {f.filter} {f.applied ? 'applied' : `not applied: ${f.reason ?? ''}`}
        </div>
      ))}
      {(proxy.missingKeys ?? []).map((k) => (
        <div key={`${k.policy} ${k.rule}`} className="errt brk">
          {k.policy} refuses every token: {k.reason}
        </div>
      ))}
    </>
  );
}
