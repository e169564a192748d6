import { useNavigate } from '@tanstack/react-router';
import { type ReactElement, useState } from 'react';
import { useConfigList } from '../data/hooks.ts';

/** Jump to a view or a configuration object by name. */
export function Palette({ close }: { close(): void }): ReactElement {
  const navigate = useNavigate();
  const config = useConfigList().data?.items ?? [];
  const [query, setQuery] = useState('');
  const [at, setAt] = useState(0);
  const entries = [
    ...(['overview', 'graph', 'traces', 'config', 'proxies'] as const).map((v) => ({ label: `Go to ${v}`, run: () => navigate({ to: `/${v}` }) })),
    ...config.map(({ ref }) => ({
      label: `${ref.kind} ${ref.namespace}/${ref.name}`,
      run: () => navigate({ to: '/config', search: { object: `${ref.kind}/${ref.namespace}/${ref.name}` } }),
    })),
  ]
    .filter((e) => e.label.toLowerCase().includes(query.toLowerCase()))
    .slice(0, 12);
  const go = (index: number): void => {
    void entries[index]?.run();
    close();
  };
  return (
    <div
      className="palette"
      role="dialog"
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
