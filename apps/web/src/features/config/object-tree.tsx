import type { ConfigSummary } from '@weft/mesh-core/api';
import { refKey } from '@weft/mesh-core/model';
import { IconChevronDown, IconChevronRight, IconPlus } from '@tabler/icons-react';
import { type ReactElement, useState } from 'react';
import { kindIcon } from './kind-icon.tsx';

/** Where an object stands: a Namespace in the one it is. */
export function homeOf(ref: ConfigSummary['ref']): string {
  return ref.kind === 'Namespace' ? ref.name : ref.namespace;
}

interface Props {
  items: readonly ConfigSummary[];
  selected: string | undefined;
  /** Objects with a draft. */
  drafts: ReadonlySet<string>;
  onSelect(id: string): void;
  onNew(): void;
}

/** As a ref it runs once for each object that is chosen, by a link too. */
function intoView(chosen: HTMLElement | null): void {
  chosen?.scrollIntoView({ block: 'nearest' });
}

/** All objects, by namespace and kind, with what is wrong with each. */
export function ObjectTree({ items, selected, drafts, onSelect, onNew }: Props): ReactElement {
  const [filter, setFilter] = useState('');
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const wanted = filter.trim().toLowerCase();
  const shown = items.filter((i) => wanted === '' || `${i.ref.kind} ${i.ref.name}`.toLowerCase().includes(wanted));
  const namespaces = [...new Set(shown.map((i) => homeOf(i.ref)))].toSorted();
  return (
    <nav className="tree" aria-label="Objects">
      <div className="trh">
        <input className="field" placeholder="Filter" aria-label="Filter objects" value={filter} onChange={(e) => setFilter(e.target.value)} />
        <button type="button" className="btn icon sm" aria-label="New object" title="New object" onClick={onNew}>
          <IconPlus size={14} />
        </button>
      </div>
      {namespaces.map((namespace) => {
        const own = shown.filter((i) => homeOf(i.ref) === namespace);
        const open = !closed.has(namespace) || wanted !== '';
        return (
          <div key={namespace}>
            <button
              type="button"
              className="gh"
              aria-expanded={open}
              onClick={() => setClosed((held) => new Set(held.has(namespace) ? [...held].filter((n) => n !== namespace) : [...held, namespace]))}
            >
              {open ? <IconChevronDown size={12} /> : <IconChevronRight size={12} />}
              <b title={namespace}>{namespace}</b>
              <span className="num">{own.length}</span>
            </button>
            {open &&
              [...new Set(own.map((i) => i.ref.kind))].toSorted().map((kind) => (
                <div key={kind}>
                  <h6>{kind}</h6>
                  {own
                    .filter((i) => i.ref.kind === kind)
                    .map((i) => {
                      const id = refKey(i.ref);
                      const Icon = kindIcon(kind);
                      return (
                        <button
                          type="button"
                          key={id}
                          ref={id === selected ? intoView : undefined}
                          className={`fi ${id === selected ? 'on' : ''}`}
                          aria-current={id === selected}
                          onClick={() => onSelect(id)}
                        >
                          <Icon size={14} stroke={1.5} aria-hidden="true" />
                          <span>{i.ref.name}</span>
                          {drafts.has(id) && (
                            <em className="m" title="Has changes that are not applied">
                              M
                            </em>
                          )}
                          {i.errors > 0 && (
                            <em className="st e" title={`${i.errors} errors`}>
                              {i.errors}
                            </em>
                          )}
                          {i.warnings > 0 && (
                            <em className="st w" title={`${i.warnings} warnings`}>
                              {i.warnings}
                            </em>
                          )}
                        </button>
                      );
                    })}
                </div>
              ))}
          </div>
        );
      })}
      {shown.length === 0 && <div className="state">Nothing matches.</div>}
    </nav>
  );
}
