import type { KeyboardEvent, ReactElement } from 'react';

/** A row of tabs; arrows walk them, as screen readers expect. */
export function Tabs<T extends string>({
  of,
  on,
  label,
  onChange,
}: {
  of: readonly T[];
  on: NoInfer<T>;
  label: string;
  onChange(tab: NoInfer<T>): void;
}): ReactElement {
  const walk = (event: KeyboardEvent<HTMLElement>): void => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const next = step === undefined ? { Home: of[0], End: of.at(-1) }[event.key] : of[(of.indexOf(on) + step + of.length) % of.length];
    if (next === undefined) return;
    event.preventDefault();
    onChange(next);
    event.currentTarget.querySelectorAll('button')[of.indexOf(next)]?.focus();
  };
  return (
    <div className="tabs" role="tablist" aria-label={label} onKeyDown={walk}>
      {of.map((tab) => (
        <button
          type="button"
          role="tab"
          key={tab}
          aria-selected={tab === on}
          tabIndex={tab === on ? 0 : -1}
          className={tab === on ? 'on' : ''}
          onClick={() => onChange(tab)}
        >
          {tab}
        </button>
      ))}
    </div>
  );
}
