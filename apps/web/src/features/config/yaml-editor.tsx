import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import { yaml } from '@codemirror/lang-yaml';
import { HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import { lintGutter, setDiagnostics } from '@codemirror/lint';
import { EditorState } from '@codemirror/state';
import { EditorView, highlightActiveLine, keymap, lineNumbers } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import type { ConfigCheck } from '@weft/mesh-core/api';
import { type ReactElement, useEffect, useRef } from 'react';

const colors = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: 'var(--code-key)' },
  { tag: tags.string, color: 'var(--code-str)' },
  { tag: [tags.number, tags.bool, tags.null], color: 'var(--code-num)' },
  { tag: tags.comment, color: 'var(--code-com)' },
]);

/** A YAML editor that starts from `initial`; give it a new `key` for another text. Marks `problems` at their lines. */
export function YamlEditor({
  initial,
  problems,
  onChange,
  onApply,
}: {
  initial: string;
  problems: ConfigCheck['problems'];
  onChange(text: string): void;
  onApply(): void;
}): ReactElement {
  const host = useRef<HTMLDivElement>(null);
  const editor = useRef<EditorView>(undefined);
  const handlers = useRef({ onChange, onApply });
  useEffect(() => {
    handlers.current = { onChange, onApply };
  }, [onChange, onApply]);
  useEffect(() => {
    if (host.current === null) return;
    const apply = {
      key: 'Mod-Enter',
      run: () => {
        handlers.current.onApply();
        return true;
      },
    };
    const made = new EditorView({
      parent: host.current,
      state: EditorState.create({
        doc: initial,
        extensions: [
          keymap.of([apply, indentWithTab, ...defaultKeymap, ...historyKeymap]),
          history(),
          lineNumbers(),
          highlightActiveLine(),
          yaml(),
          syntaxHighlighting(colors),
          lintGutter(),
          EditorView.updateListener.of((u) => u.docChanged && handlers.current.onChange(u.state.doc.toString())),
        ],
      }),
    });
    editor.current = made;
    return () => made.destroy();
  }, [initial]);
  useEffect(() => {
    const view = editor.current;
    if (view === undefined) return;
    view.dispatch(
      setDiagnostics(
        view.state,
        problems.map((p) => {
          const line = view.state.doc.line(Math.min(view.state.doc.lines, Math.max(1, p.line ?? 1)));
          return { from: line.from, to: line.to, severity: p.severity, message: p.message };
        }),
      ),
    );
  }, [problems]);
  return <div className="cm-host" ref={host} data-testid="config-editor" />;
}
