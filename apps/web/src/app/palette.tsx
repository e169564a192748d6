import { proxyName } from '@weft/mesh-core/api';
import { refKey } from '@weft/mesh-core/model';
import { useNavigate } from '@tanstack/react-router';
import { type ReactElement, useState } from 'react';
import { useConfigList, useProxies, useServices } from '../data/hooks.ts';

/** Jump to a view or a configuration object by name. */
export function Palette({ close }: { close(): void }): ReactElement {
  const navigate = useNavigate();
  const config = useConfigList().data?.items ?? [];
  const [query, setQuery] = useState('');
  const [at, setAt] = useState(0);
  const services = useServices().data?.items ?? [];
  const proxies = useProxies().data ?? [];
  // Several proxies may stand for one workload.
  const workloads = proxies.filter((p, i) => proxies.findIndex((q) => q.namespace === p.namespace && q.workload === p.workload) === i);
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const traceId = query.trim().toLowerCase();
  const entries = [
    ...(/^[0-9a-f]{16,32}$/.test(traceId) ? [{ label: `Open trace ${traceId}`, run: () => navigate({ to: '/traces', search: { trace: traceId } }) }] : []),
    ...(['overview', 'graph', 'services', 'workloads', 'traces', 'config', 'security', 'proxies'] as const).map((v) => ({
      label: `Go to ${v}`,
      run: () => navigate({ to: `/${v}` }),
    })),
    ...services.map(({ namespace, name }) => ({
      label: `Service ${namespace}/${name}: traffic and metrics`,
      run: () => navigate({ to: '/services/$namespace/$name', params: { namespace, name } }),
    })),
    ...workloads.map(({ namespace, workload }) => ({
      label: `Workload ${namespace}/${workload}`,
      run: () => navigate({ to: '/workloads/$namespace/$name', params: { namespace, name: workload } }),
    })),
    ...proxies.map((p) => ({ label: `Proxy ${proxyName(p.id)}.${p.namespace}`, run: () => navigate({ to: '/proxies', search: { proxy: p.id } }) })),
    ...config.map(({ ref }) => ({
      label: `${ref.kind} ${ref.namespace}/${ref.name}`,
      run: () => navigate({ to: '/config', search: { object: refKey(ref) } }),
    })),
  ]
    .filter((e) => words.every((word) => e.label.toLowerCase().includes(word)))
    .slice(0, 12);
  const go = (index: number): void => {
    void entries[index]?.run();
    close();
  };
  return (
    <div
      className="palette"
      role="dialog"
      aria-modal="true"
      aria-label="Search"
      onClick={close}
      onKeyDown={(e) => {
        if (e.key === 'Escape') close();
        if (e.key === 'ArrowDown') setAt((i) => Math.min(i + 1, entries.length - 1));
        if (e.key === 'ArrowUp') setAt((i) => Math.max(i - 1, 0));
        if (e.key === 'Enter') go(at);
      }}
    >
      <div onClick={(e) => e.stopPropagation()}>
        <input
          className="field"
          autoFocus
          aria-label="Search or jump to"
          placeholder="A page, service, proxy, object or trace id"
          value={query}
          onChange={(e) => {
            setQuery(e.target.value);
            setAt(0);
          }}
        />
        {entries.map((e, i) => (
          <button type="button" key={e.label} className={i === at ? 'on' : ''} onClick={() => go(i)}>
            {e.label}
          </button>
        ))}
        {entries.length === 0 && <div className="state">Nothing matches.</div>}
      </div>
    </div>
  );
}
