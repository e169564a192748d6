import { autocompletion, closeBrackets } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import { lintGutter, nextDiagnostic } from '@codemirror/lint';
import { goToNextChunk, unifiedMergeView } from '@codemirror/merge';
import { highlightSelectionMatches, searchKeymap } from '@codemirror/search';
import { Compartment, EditorState, type Extension } from '@codemirror/state';
import { EditorView, drawSelection, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers } from '@codemirror/view';
import type { ConfigCheck } from '@weft/mesh-core/api';
import { type ReactElement, type Ref, useEffect, useImperativeHandle, useRef, useState } from 'react';
import { yamlLook } from './editor-theme.ts';
import { inlineProblems, rangeOf, showProblems } from './inline-problems.ts';

type Problem = ConfigCheck['problems'][number];
/** What others may do with an open editor. */
export interface EditorHandle {
  goTo(problem: Problem): void;
  /** Puts the problem's fix into the text. */
  fix(problem: Problem): void;
}
interface Props {
  initial: string;
  /** What is stored: changes against it are shown in place when `diff` is on. */
  original: string;
  diff: boolean;
  problems: readonly Problem[];
  ref: Ref<EditorHandle>;
  onChange(text: string): void;
  onApply(): void;
  onCheck(): void;
}

const replaceSelected = EditorView.inputHandler.of((view, _from, _to, text) => {
  const { main, ranges } = view.state.selection;
  if (main.empty || ranges.length > 1) return false;
  view.dispatch(view.state.replaceSelection(text), { userEvent: 'input.type', scrollIntoView: true });
  return true;
});

/**
 * What is typed over a selection is taken before the browser changes the page: the lines a diff shows as deleted and the messages at
 * line ends leave line ends and texts of their own in what the editor would read back.
 */
const typeOverSelection = EditorView.domEventHandlers({
  beforeinput({ inputType, data, cancelable }, view) {
    const { main, ranges } = view.state.selection;
    if (inputType !== 'insertText' || data === null || !cancelable || view.composing || main.empty || ranges.length > 1) return false;
    const insert = () => view.state.update(view.state.replaceSelection(data), { userEvent: 'input.type' });
    return view.state.facet(EditorView.inputHandler).some((handle) => handle(view, main.from, main.to, data, insert));
  },
});

/** A YAML editor that starts from `initial`; give it a new `key` for another text. Keys: Mod-Enter apply, Mod-S check, F8 next problem, F7 next change. */
export function YamlEditor({ initial: given, original, diff, problems, ref, onChange, onApply, onCheck }: Props): ReactElement {
  // The text is the editor's from here on.
  const [initial] = useState(given);
  const host = useRef<HTMLDivElement>(null);
  const editor = useRef<EditorView>(undefined);
  const merge = useRef(new Compartment());
  const handlers = useRef({ onChange, onApply, onCheck });
  useEffect(() => {
    handlers.current = { onChange, onApply, onCheck };
  }, [onChange, onApply, onCheck]);
  useEffect(() => {
    if (host.current === null) return;
    const compartment = merge.current;
    const run = (what: 'onApply' | 'onCheck') => () => {
      handlers.current[what]();
      return true;
    };
    const made = new EditorView({
      parent: host.current,
      state: EditorState.create({
        doc: initial,
        extensions: [
          keymap.of([
            { key: 'Mod-Enter', run: run('onApply') },
            { key: 'Mod-s', run: run('onCheck'), preventDefault: true },
            { key: 'F8', run: nextDiagnostic },
            { key: 'F7', run: goToNextChunk },
            indentWithTab,
            ...searchKeymap,
            ...defaultKeymap,
            ...historyKeymap,
          ]),
          history(),
          lineNumbers(),
          lintGutter(),
          highlightActiveLine(),
          highlightActiveLineGutter(),
          highlightSelectionMatches(),
          drawSelection(),
          closeBrackets(),
          autocompletion(),
          yamlLook,
          inlineProblems,
          compartment.of([]),
          replaceSelected,
          typeOverSelection,
          EditorView.contentAttributes.of({ 'aria-label': 'YAML', tabindex: '0' }),
          EditorView.updateListener.of((u) => u.docChanged && handlers.current.onChange(u.state.doc.toString())),
        ],
      }),
    });
    editor.current = made;
    return () => made.destroy();
  }, [initial]);
  useEffect(() => {
    const show: Extension = diff ? unifiedMergeView({ original, mergeControls: false, highlightChanges: false, gutter: true }) : [];
    editor.current?.dispatch({ effects: merge.current.reconfigure(show) });
  }, [initial, original, diff]);
  useEffect(() => {
    const view = editor.current;
    if (view !== undefined) view.dispatch(showProblems(view.state, problems));
  }, [problems, initial]);
  useImperativeHandle(
    ref,
    () => ({
      goTo(problem) {
        const view = editor.current;
        if (view === undefined) return;
        const { from, to } = rangeOf(view.state, problem);
        view.dispatch({ selection: { anchor: from, head: Math.min(to, view.state.doc.lineAt(from).to) }, scrollIntoView: true });
        view.focus();
      },
      fix(problem) {
        const view = editor.current;
        if (view === undefined || problem.fix === undefined) return;
        const { from, to } = rangeOf(view.state, problem);
        view.dispatch({ changes: { from, to, insert: String(problem.fix.value) }, scrollIntoView: true });
        view.focus();
      },
    }),
    [],
  );
  return <div className="cm-host" ref={host} data-testid="config-editor" />;
}
