import type { ReactElement, ReactNode } from 'react';

/** Head of a side panel: what it is about, a way to close it, the figures to see first. */
export function PanelHead({
  title,
  chip,
  figures,
  close,
}: {
  title: ReactNode;
  chip?: ReactNode;
  figures: Record<string, string>;
  close(): void;
}): ReactElement {
  return (
    <div className="ph">
      <div className="r1">
        <h2>{title}</h2>
        {chip}
        <span style={{ flex: 1 }} />
        <button type="button" className="btn ghost icon sm" aria-label="Close" onClick={close}>
          ×
        </button>
      </div>
      <div className="kv">
        {Object.entries(figures).map(([name, figure]) => (
          <div key={name}>
            <span>{name}</span>
            <b>{figure}</b>
          </div>
        ))}
      </div>
    </div>
  );
}
