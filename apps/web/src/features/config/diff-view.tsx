import { MergeView } from '@codemirror/merge';
import { EditorState } from '@codemirror/state';
import { EditorView, lineNumbers } from '@codemirror/view';
import { type ReactElement, useEffect, useRef } from 'react';
import { yamlLook } from './editor-theme.ts';

/** Two texts side by side, read only, what is equal folded away. */
export function DiffView({ before, after, names }: { before: string; after: string; names: readonly [string, string] }): ReactElement {
  const host = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (host.current === null) return;
    const extensions = [lineNumbers(), yamlLook, EditorState.readOnly.of(true), EditorView.editable.of(false)];
    const view = new MergeView({
      parent: host.current,
      a: { doc: before, extensions },
      b: { doc: after, extensions },
      highlightChanges: true,
      gutter: true,
      collapseUnchanged: { margin: 3, minSize: 6 },
    });
    return () => view.destroy();
  }, [before, after]);
  return (
    <div className="dv">
      <div className="dvh muted">
        <span>{names[0]}</span>
        <span>{names[1]}</span>
      </div>
      <div ref={host} />
    </div>
  );
}
