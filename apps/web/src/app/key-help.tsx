import { type ReactElement, useEffect, useRef } from 'react';
import { KEYS } from './keys.ts';

/** All keys, until closed. */
export function KeyHelp({ close }: { close(): void }): ReactElement {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => box.current?.focus(), []);
  return (
    <div className="palette" role="dialog" aria-label="Keys" onClick={close} onKeyDown={(e) => e.key === 'Escape' && close()}>
      <div ref={box} tabIndex={-1} className="keys" onClick={(e) => e.stopPropagation()}>
        <h2>Keys</h2>
        <dl>
          {KEYS.map(([keys, what]) => [
            <dt key={keys}>
              <kbd>{keys}</kbd>
            </dt>,
            <dd key={`${keys}=`}>{what}</dd>,
          ])}
        </dl>
      </div>
    </div>
  );
}
